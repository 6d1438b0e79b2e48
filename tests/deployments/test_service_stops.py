"""The end of the service. The last file of this folder: afterwards there is none."""

import socket

from service_case import Service

from deployments import process, supervisor
from deployments.scratch import scratch


def test_down_leaves_no_process_and_no_port(service: Service) -> None:
    running = supervisor.record(service.settings)
    assert running is not None
    sockets = scratch(service.settings)
    down = service.call("down")
    assert down.returncode == 0 and down.stdout.count("stopped, pid") == 3, down.stdout + down.stderr
    assert not process.kin(running.mark) and not process.alive(running)
    for name in ("CLIR_UI_PORT", "CLIR_RAY_PORT", "CLIR_DASHBOARD_PORT"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(service.environment[name])))
    assert not sockets.exists() and not supervisor.record(service.settings)
