"""One service for all tests of deployments/: server, Ray and worker in a workspace of their own, on free ports.

Its user has a proxy for everything, settings for other programs, and secrets; its workspace is an old, open one.
Its database is SQLite, or with CLIR_TEST_POSTGRES=1 a PostgreSQL server that is started for it.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import hub_stub
import postgres_case
import pytest
from recording_proxy import proxy
from service_case import SECRETS, STRAY, Service, call


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, str]]:
    """Makes an environment with a new workspace and free ports; nothing of the user's own service in it."""

    def make() -> dict[str, str]:
        probes = [socket.socket() for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = [str(probe.getsockname()[1]) for probe in probes]
        for probe in probes:
            probe.close()
        own = ("CLIR_", "PREFECT_", "DATABASE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        names = ("CLIR_UI_PORT", "CLIR_RAY_PORT", "CLIR_DASHBOARD_PORT")
        workspace = tmp_path_factory.mktemp("service")
        return {**kept, **dict(zip(names, ports, strict=True)), "CLIR_WORKSPACE": str(workspace)}

    return make


@pytest.fixture(scope="session")
def service(settings: Callable[[], dict[str, str]]) -> Iterator[Service]:
    """A service that is up, with a webhook, a hub and a proxy that this process serves, and automatic training on."""
    received: Queue[dict[str, Any]] = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ExitStack() as stack:
        hook = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Hook))
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        stack.callback(hook.shutdown)
        hub = stack.enter_context(hub_stub.serve())
        environment = {**settings(), "CLIR_AUTO_FINETUNE": "1", "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        notify = SECRETS["CLIR_NOTIFY_URL"]
        through = stack.enter_context(proxy())
        environment |= {**SECRETS, **STRAY, **through.environment}
        environment["CLIR_NOTIFY_URL"] = f"http://127.0.0.1:{hook.server_port}/hook?token={notify}"
        if os.environ.get(postgres_case.SWITCH):
            environment["DATABASE_URL"] = stack.enter_context(postgres_case.serve()).url
        workspace = Path(environment["CLIR_WORKSPACE"])
        environment["HF_HOME"] = str(workspace / "hub")
        workspace.chmod(0o755)
        (workspace / "prefect").mkdir(0o755)
        stack.callback(_down, workspace, environment)
        done = call("up", environment)
        assert done.returncode == 0, done.stdout + done.stderr
        user, _, password = (workspace / "prefect" / "auth").read_text("utf-8").partition(":")
        base = f"http://127.0.0.1:{environment['CLIR_UI_PORT']}/api"
        api = stack.enter_context(httpx.Client(base_url=base, auth=(user, password), timeout=60, trust_env=False))
        yield Service(workspace, environment, api, received, hub, through, done.stdout)


def _down(workspace: Path, environment: dict[str, str]) -> None:
    """Unless the tests have ended it themselves."""
    if list((workspace / "service").glob("*.json")):
        call("down", environment)
