"""What Ray keeps beside a run is its user's alone: sockets, logs, the token."""

import shutil
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
import ray
from other_user import doors, needs_root

from clir_core.jobs import scratch, token


@needs_root
def test_no_other_user_reaches_a_local_cluster(ray_cluster: None) -> None:
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    sockets = [path for path in session.rglob("*") if path.is_socket()]
    assert len(sockets) > 1 and stat.S_IMODE(session.stat().st_mode) == 0o777, "Ray has changed: is this still needed?"
    assert doors(session.parents[1]) == []


def test_a_path_for_sockets_is_short_wherever_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for base in (Path("/tmp"), tmp_path / ("x" * 60)):
        base.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(base))
        folder = scratch.new_scratch()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        longest = f"{scratch.inside(folder)}/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
        Path(longest).parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(longest)
        shutil.rmtree(folder)
        assert folder.parent == Path("/tmp")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ray" / "auth_token"


def test_a_token_is_made_once_and_its_user_alone_reads_it(home: Path) -> None:
    token.keep_token()
    first = home.read_text("utf-8")
    assert len(first) == 64 and token.ray_token() == first and stat.S_IMODE(home.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700 and [*home.parent.iterdir()] == [home]
    home.chmod(0o644)
    token.keep_token()
    assert home.read_text("utf-8") == first and stat.S_IMODE(home.stat().st_mode) == 0o600


def test_a_token_of_somewhere_else_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_TOKEN_PATH", "/x"), ("RAY_AUTH_MODE", "disabled")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            token.keep_token()
    assert not home.parent.exists()


def test_rays_python_is_this_one_by_a_plain_way(tmp_path: Path) -> None:
    program = "import ray, sys; print(sys.executable); print(ray.__file__)"
    told = subprocess.run([scratch.python_for(tmp_path), "-c", program], capture_output=True, text=True, check=True)
    assert all(Path(line).is_relative_to(tmp_path) for line in told.stdout.splitlines())
