"""Whatever became of what the service keeps about itself: it is read, made again, or an error of our own names it."""

import socket
import tempfile
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from corpus_files import damaged
from hypothesis import given
from hypothesis import strategies as st

from clir_core.errors import ClirError
from clir_core.workspace import layout
from deployments import deployed, supervisor
from deployments.parts import call
from deployments.process import Running
from deployments.settings import Settings, chosen, remember
from flows.server import is_standing, login


@given(data=st.data())
def test_a_damaged_file_is_named_or_read(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CLIR_WORKSPACE", place)
        environment.setenv("CLIR_UI_PORT", "1")  # nobody listens there
        environment.delenv("PREFECT_API_URL", raising=False)
        settings = Settings()
        settings.state.mkdir(parents=True)
        layout.prefect(settings.home).mkdir()
        remember(settings)
        deployed.remember(settings, "secret", "state")
        running = Running(pid=9, ticks=1, boot="x", mark="m", command=("a",), since=datetime.now(UTC), log=Path("l"))
        (settings.state / "supervisor.json").write_text(running.model_dump_json())
        login(settings.login)
        files = [*settings.state.glob("*.json"), layout.service_settings(settings.home), settings.login]
        file = data.draw(st.sampled_from(sorted(files)))
        file.write_bytes(damaged(file.read_bytes(), data.draw))
        for read in (
            lambda: chosen(strict=True),
            lambda: is_standing(settings.home),
            lambda: deployed.is_there(settings, "secret", "state"),
            lambda: supervisor.record(settings),
            lambda: login(settings.login),
        ):
            with suppress(ClirError):
                read()


@given(answer=st.binary() | st.sampled_from((b"HTTP/1.1 x", b"HTTP/1.1 200 OK\r\nContent-Length: -\r\n\r\n", b"\n")))
def test_whoever_listens_there_is_no_service_of_this_workspace(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        told = threading.Thread(target=tell, args=(listening, answer))
        told.start()
        assert call(url, "Basic x") is None
        told.join()


def tell(listening: socket.socket, answer: bytes) -> None:
    with listening.accept()[0] as asking:
        asking.recv(65_536)
        asking.sendall(answer)
