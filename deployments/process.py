"""A detached process that a later command knows again, with all its descendants, and never mistakes for a stranger.

Linux only: it reads /proc.
"""

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clir_core.spec import Spec

# in the environment of the process, hence in that of everything it starts, whatever session or parent that ends up in
MARK = "CLIR_SERVICE_MARK"
# beside it, in the environment of each part of the service
PART = "CLIR_SERVICE_PART"
ORPHANS_GRACE = 2  # seconds: Ray's actors wait for a cluster that is gone, and do not end by themselves


class Running(Spec):
    """What was started. Pids are used again; a pid with its start time and boot is not."""

    pid: int
    ticks: int  # since boot, as in /proc/PID/stat
    boot: str
    mark: str
    command: tuple[str, ...]
    since: datetime
    log: Path


def start(command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Running:
    """Start a process in a session of its own, its output at the end of `log`."""
    mark = uuid.uuid4().hex
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**environment, MARK: mark},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    since = datetime.now(UTC).replace(microsecond=0)
    # a process that is gone already has no start time; 0 is nobody's
    return Running(
        pid=process.pid,
        ticks=_ticks(process.pid) or 0,
        boot=_boot(),
        mark=mark,
        command=tuple(command),
        since=since,
        log=log,
    )


def alive(running: Running) -> bool:
    """Whether that very process still runs."""
    return running.boot == _boot() and _ticks(running.pid) == running.ticks


def kin(mark: str, part: str | None = None) -> dict[int, int]:
    """Whatever carries this mark, of one part or of all, and its descendants, orphans among them: pid to start time.

    The mark finds whoever left its parent and session; the parent, whoever wrote over its environment.
    """
    signs = [f"{MARK}={mark}".encode(), *([f"{PART}={part}".encode()] if part else [])]
    pids = [int(directory.name) for directory in Path("/proc").iterdir() if directory.name.isdecimal()]
    parents = {pid: _parent(pid) for pid in pids}
    ours = {pid for pid in pids if all(sign in _environment(pid) for sign in signs)}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return {pid: ticks for pid in sorted(ours) if (ticks := _ticks(pid)) is not None}


def topmost(family: Mapping[int, int]) -> dict[int, int]:
    """Those of a family whose parent is none of it: of a worker's descendants, its flow runs."""
    return {pid: ticks for pid, ticks in family.items() if _parent(pid) not in family}


def end(processes: Mapping[int, int], grace: float) -> int:
    """Ask processes (pid to start time) to end, wait up to `grace` seconds, kill who is left. Returns their number."""
    for pid, ticks in processes.items():
        _send(pid, ticks, signal.SIGTERM)
    left = _await_end(processes, grace)
    for pid, ticks in left.items():
        _send(pid, ticks, signal.SIGKILL)
    _await_end(left, 10)
    return len(left)


def stop(running: Running, grace: float) -> int:
    """End the process, then what it left behind: returns how many went on without it."""
    if alive(running):
        end({running.pid: running.ticks}, grace)
    left = kin(running.mark) if running.boot == _boot() else {}
    end(topmost(left), ORPHANS_GRACE)
    end({**left, **kin(running.mark)}, ORPHANS_GRACE)
    return len(topmost(left))


def _await_end(processes: Mapping[int, int], seconds: float) -> dict[int, int]:
    """Those that still run after that time at the latest."""
    deadline = time.monotonic() + seconds
    while left := {pid: ticks for pid, ticks in processes.items() if _ticks(pid) == ticks}:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _send(pid: int, ticks: int, number: signal.Signals) -> None:
    """Signal that very process: the handle is taken before the start time is compared, so no stranger can get it."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _ticks(pid) == ticks:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _environment(pid: int) -> list[bytes]:
    """Empty for other users' processes and for those that are gone."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(pid: int) -> int | None:
    """Start time; None where there is no such process, or only its unread exit status."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
