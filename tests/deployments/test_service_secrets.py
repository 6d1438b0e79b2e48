"""What other users of the machine, its proxy, and whoever reads what is written learn of the service: nothing.

Its user's environment is full of secrets and of settings that are none of its business: see conftest.py.
"""

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from embeddings_server import Server
from other_user import doors, needs_root
from service_case import SECRETS, STRAY, Service, until

from clir_core import telemetry
from deployments.scratch import scratch

PARTS = ("server", "ray", "worker")


@pytest.fixture(scope="module")
def corpus(demo_part: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_part(tmp_path_factory.mktemp("secrets") / "corpus", ("de",), 6)


@pytest.fixture(scope="module")
def audited(service: Service, _embeddings_server: Server, corpus: Path) -> dict[str, Any]:
    """An audit of a model that wants a key, and one that ends with the server's repeating that key."""
    _embeddings_server.behave()
    spec = {"model": f"{_embeddings_server.url}#tiny", "corpus": f"parquet:{corpus}"}
    service.completed(service.start("audit/checkpoint", **spec))
    told = _embeddings_server.told()
    _embeddings_server.behave(fails=[401] * 3)
    refused = service.start("audit/checkpoint", **{**spec, "model": f"{_embeddings_server.url}#other"})
    until(lambda: service.ask("GET", f"/flow_runs/{refused}")["state_type"] == "FAILED", 300)
    return told


def kin(service: Service) -> dict[int, str]:
    """Every process of the service, and the part that it is of."""
    return {pid: part for part in PARTS for pid in service.kin(part)}


def written(pid: int) -> Iterator[Path]:
    """The files that a process has open to write."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        flags = (Path(f"/proc/{pid}/fdinfo") / handle.name).read_text().split("flags:")[1].split()[0]
        path = handle.readlink()
        if int(flags, 8) & (os.O_WRONLY | os.O_RDWR) and path.is_file():
            yield path


@needs_root
def test_no_other_user_reaches_what_the_service_keeps_or_writes(service: Service) -> None:
    places = {service.workspace, scratch(service.settings), Path("~/.ray/auth_token").expanduser()}
    sockets = [line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if len(line.split()) > 7]
    ours = [Path(one) for one in sockets if one.startswith(str(scratch(service.settings)))]
    assert len(ours) > 2, "neither Ray nor the supervisor has sockets in the file system any more"
    open_ones = {path for pid in service.kin() for path in written(pid)}
    assert any(path.name == "server.log" for path in open_ones)
    assert doors(*places, beside={*ours, *open_ones}) == []


def test_what_the_service_writes_is_closed_file_by_file(service: Service) -> None:
    inside = [*(service.workspace / "prefect").rglob("*"), *(service.workspace / "service").rglob("*")]
    open_ones = [path for path in inside if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert len(inside) > 10 and open_ones == []


def test_only_what_is_documented_reaches_a_process(service: Service) -> None:
    for pid, part in kin(service).items():
        if not (environment_file := Path(f"/proc/{pid}/environ")).exists():
            continue  # a run that has ended meanwhile
        environment = environment_file.read_bytes().split(b"\0")
        names = {one.partition(b"=")[0].decode() for one in environment}
        planted = {f"{name}={value}".encode() for name, value in STRAY.items()}
        assert not planted & set(environment), f"{part}, {pid}"
        assert not names & {"DATABASE_URL", "CLIR_NOTIFY_URL", "SOMETHING_ELSE"}, f"{part}, {pid}"
        if part == "ray":
            assert not {name for name in names if name.startswith("PREFECT_")} - telemetry.OFF.keys()


def test_nothing_of_this_machine_goes_to_the_proxy(service: Service, audited: dict[str, Any]) -> None:
    """`up`, status, an audit from the shell and one from the worker: to the server, Ray, the hub and an embedder."""
    assert service.call("status").returncode == 0
    assert service.prefect("deployment", "ls").returncode == 0
    assert audited["texts"]
    assert [one.splitlines()[0] for one in service.proxy.asked] == []
    outside = subprocess.run(
        ["curl", "-s", "http://outside.example/"], env=service.environment, capture_output=True, text=True
    )
    assert outside.returncode == 0 and len(service.proxy.asked) == 1, "the test itself would not notice"
    service.proxy.asked.clear()


def test_no_secret_is_written_anywhere(service: Service, audited: dict[str, Any]) -> None:
    assert audited["keys"] == [f"Bearer {SECRETS['CLIR_EMBEDDINGS_KEY']}"], "it was not even used"
    password = service.environment.get("DATABASE_URL", "").partition("://")[2].partition("@")[0].partition(":")[2]
    secrets = [*SECRETS.values(), *filter(None, [password])]
    forms = {form for one in secrets for form in (one.encode(), quote(one, safe="").encode(), b64encode(one.encode()))}
    said = "".join(service.call(command).stdout for command in ("status", "env")) + service.said_by_up
    read = {"what the commands say": said.encode()}
    for place in (service.workspace, scratch(service.settings)):
        read |= {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            read[str(command)] = command.read_bytes()
        except OSError:
            continue
    assert {"audit.json", "report.html", "ray.log"} <= {Path(name).name for name in read}
    assert [f"{name}: {form!r}" for name, text in read.items() for form in forms if form in text] == []
