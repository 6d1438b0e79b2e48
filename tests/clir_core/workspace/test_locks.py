"""One holder at a time, whoever waits says so, and nobody who died holds anything back."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clir_core.errors import StoreError
from clir_core.workspace.locks import is_held, locked


def test_work_under_a_lock_never_overlaps(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work(_: int) -> None:
        with locked(tmp_path / "step" / ".lock"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            (tmp_path / "step" / "seen").touch()
            inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert most == [1]


def test_whether_a_lock_is_held_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_held(path) and not path.exists()
    with locked(path):
        assert is_held(path) and is_held(path)
    assert not is_held(path)


def test_who_waits_says_for_what(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "train-1" / ".lock"
    with caplog.at_level(logging.INFO, "clir_core"), ThreadPoolExecutor(1) as threads:
        with locked(path):
            assert not caplog.messages
            second = threads.submit(lambda: locked(path).__enter__())
            while not caplog.messages and not second.done():
                pass
        second.result(10)
    assert caplog.messages == ["train-1: another run is at it; waiting for its result"]


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from clir_core.workspace.locks import locked\n"
        f"with locked(Path({str(tmp_path / '.lock')!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    with locked(tmp_path / ".lock"):
        pass


def test_a_place_without_a_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StoreError, match=f"{tmp_path}/file/step: cannot be read or written"),
        locked(tmp_path / "file" / "step" / ".lock"),
    ):
        pass
