"""A command that is interrupted, ended or killed while Ray works: it is gone in seconds, with all that it started."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clir_core.workspace import processes
from clir_core.workspace.reaper import MARK

SECONDS = 5
PATIENCE = 240


def mark_of(pid: int) -> str:
    """What the children of this command carry."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    told = [Path(f"/proc/{child}/cmdline").read_bytes().decode() for child in children]
    (found,) = {one[1] for text in told if (one := re.search(rf"{MARK}=(\w+)", text))}
    return found


@pytest.mark.parametrize(
    ("number", "whole_group", "codes"),
    [
        (signal.SIGINT, True, {128 + signal.SIGINT}),
        pytest.param(signal.SIGKILL, False, {-signal.SIGKILL}, marks=pytest.mark.slow),
        # Ray may abort the process at its end
        pytest.param(signal.SIGTERM, False, {128 + signal.SIGTERM, -signal.SIGABRT}, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, False, {128 + signal.SIGINT}, marks=pytest.mark.slow),
    ],
    ids=["Ctrl-C", "kill -9", "kill", "kill -INT"],
)
def test_it_is_gone_in_seconds_and_leaves_no_process(
    tiny_model: Path,
    demo_part: Callable[..., Path],
    tmp_path: Path,
    number: signal.Signals,
    whole_group: bool,
    codes: set[int],
) -> None:
    corpus = demo_part(tmp_path / "corpus", ("de",), 6)
    command = [sys.executable, "-m", "flows.cli", "audit", "--model", str(tiny_model), "--corpus", f"parquet:{corpus}"]
    own = ("CLIR_", "PREFECT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= {"CLIR_WORKSPACE": str(tmp_path / "workspace"), "PYTHONPATH": str(Path.cwd())}
    log = tmp_path / "log"
    with log.open("wb") as output:
        clir = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while "texts of" not in log.read_text("utf-8") and "encod" not in log.read_text("utf-8"):
        assert clir.poll() is None and time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.1)
    signs = {MARK: mark_of(clir.pid)}
    assert len(processes.kin(signs)) > 4  # Prefect's server and Ray
    begun = time.monotonic()
    (os.killpg if whole_group else os.kill)(clir.pid, number)
    assert clir.wait(PATIENCE) in codes
    assert time.monotonic() - begun < SECONDS
    if number != signal.SIGKILL:
        told = log.read_text("utf-8")
        assert f"clir: ended by {number.name}." in told and "goes on from there" in told
    while left := processes.kin(signs):
        assert time.monotonic() - begun < 60, left
        time.sleep(0.1)
