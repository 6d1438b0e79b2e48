"""The end of the service. The last file of this folder: afterwards there is none."""

import socket

from service_case import Service

from deployments import process
from deployments.process import Running


def test_down_leaves_no_process_and_no_port(service: Service) -> None:
    records = [
        Running.model_validate_json((service.workspace / "service" / f"{part}.json").read_text("utf-8"))
        for part in ("server", "ray", "worker")
    ]
    scratch = (service.workspace / "service" / "ray.scratch").readlink()
    down = service.call("down")
    assert down.returncode == 0 and down.stdout.count("stopped, pid") == 3, down.stdout + down.stderr
    assert not any(process.kin(record) for record in records)
    for name in ("CLIR_UI_PORT", "CLIR_RAY_PORT", "CLIR_DASHBOARD_PORT"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(service.environment[name])))
    assert not scratch.exists() and not list((service.workspace / "service").glob("*.json"))
