"""A run of a deployment waits for a server that starts late; whoever calls a flow by hand does not."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import sys
import tasks
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    print("asking", flush=True)
    print(client._client.get("/health").status_code)
"""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port where nothing listens yet: whoever connects is refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def ask(taken: socket.socket, **environment: str) -> "subprocess.Popen[str]":
    port = taken.getsockname()[1]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    told = {**own, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen([sys.executable, "-c", ASK], env=told, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_the_first_connection_is_tried_again_until_the_server_is_there(taken: socket.socket) -> None:
    asking = ask(taken, PREFECT__FLOW_RUN_ID="0f7f6b1e-0000-4000-8000-000000000000")
    assert asking.stdout and asking.stdout.readline() == "asking\n"
    # by now the first try was refused, or is about to be: nothing listens yet
    with ThreadingHTTPServer(taken.getsockname(), Answers, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = taken
        server.server_activate()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert asking.communicate(timeout=120)[0] == "200\n" and asking.returncode == 0
        server.shutdown()


def test_by_hand_it_fails_at_once(taken: socket.socket) -> None:
    asking = ask(taken)
    assert asking.communicate(timeout=120)[0] == "asking\n" and asking.returncode == 1
