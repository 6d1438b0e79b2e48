"""`python -m clir_core.workspace.reaper NAME=VALUE`: waits for whoever holds the other end of its input, and cleans up.

When that process ends, however it does, everything that was started with this variable in its environment is ended, and
the temporary folders that are named after it are removed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from clir_core.workspace.processes import end_kin

MARK = "CLIR_RUN_MARK"
GRACE = 2.0  # seconds to end when asked
_reapers: list["subprocess.Popen[bytes]"] = []  # their input closes with this process, not before


def start() -> str:
    """Start a reaper for this process: the value of MARK that its children have to carry."""
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "clir_core.workspace.reaper", f"{MARK}={mark}"]
    # in a session of its own: no Ctrl-C ends it
    _reapers.append(subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True))
    return mark


def temporary_prefix() -> str:
    """How the names of temporary folders begin that go with this process, where a reaper waits for its end."""
    return _prefix(os.environ.get(MARK, ""))


def _prefix(mark: str) -> str:
    return f"clir-{mark[:8]}{'-' if mark else ''}"


def main() -> None:
    """Wait, then end and remove them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    name, _, value = sys.argv[1].partition("=")
    sys.stdin.buffer.read()
    end_kin({name: value}, GRACE, GRACE)
    for place in {tempfile.gettempdir(), "/tmp"}:
        for folder in Path(place).glob(f"{_prefix(value)}*"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
