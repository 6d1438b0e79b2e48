"""Whatever ends a process, those that it started go with it; strangers stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clir_core.workspace import processes, reaper

PARENT = """
import os, subprocess, sys, tempfile, time
from clir_core.workspace import reaper
os.environ[reaper.MARK] = mark = reaper.start()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
deaf = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
for command in (sleep, deaf):
    subprocess.Popen(command, start_new_session=True)
print(mark, tempfile.mkdtemp(prefix=reaper.temporary_prefix()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["kill -9", "its end"])
def test_children_and_folders_go_with_their_parent_and_strangers_stay(how: str, tmp_path: Path) -> None:
    other = tmp_path / "clir-stranger"
    other.mkdir()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    command = [sys.executable, "-c", PARENT]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout and parent.stdin
        mark, folder = parent.stdout.readline().split()
        signs = {reaper.MARK: mark}
        assert len(processes.kin(signs)) == 2
        if how == "kill -9":
            parent.send_signal(signal.SIGKILL)
        else:
            parent.stdin.close()
        parent.wait(30)
    deadline = time.monotonic() + 30
    while processes.kin(signs) or Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stranger.poll() is None and other.exists()
    stranger.kill()
    stranger.wait()
