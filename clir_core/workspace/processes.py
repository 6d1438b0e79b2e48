"""Families of processes, known by what stands in their environment. Linux only: it reads /proc.

A process is given as its pid and its start time: pids are used again, both together are not.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path


def kin(signs: Mapping[str, str]) -> dict[int, int]:
    """Whatever was started with these variables, and its descendants, orphans among them: pid to start time.

    The variables find whoever left its parent and session; the parent, whoever wrote over its environment.
    """
    lines = [f"{name}={value}".encode() for name, value in signs.items()]
    pids = [int(directory.name) for directory in Path("/proc").iterdir() if directory.name.isdecimal()]
    parents = {pid: _parent(pid) for pid in pids}
    ours = {pid for pid in pids if all(line in _environment(pid) for line in lines)}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return {pid: ticks for pid in sorted(ours) if (ticks := started(pid)) is not None}


def topmost(family: Mapping[int, int]) -> dict[int, int]:
    """Those of a family whose parent is none of it: of a worker's descendants, its flow runs."""
    return {pid: ticks for pid, ticks in family.items() if _parent(pid) not in family}


def children(pid: int) -> dict[int, str]:
    """The processes that one started itself and that still run: pid to command line."""
    pids = (int(directory.name) for directory in Path("/proc").iterdir() if directory.name.isdecimal())
    return {child: _command(child) for child in pids if _parent(child) == pid and started(child) is not None}


def end(processes: Mapping[int, int], grace: float) -> int:
    """Ask processes to end, wait up to `grace` seconds, kill who is left. Returns their number."""
    for pid, ticks in processes.items():
        _send(pid, ticks, signal.SIGTERM)
    left = _await_end(processes, grace)
    for pid, ticks in left.items():
        _send(pid, ticks, signal.SIGKILL)
    _await_end(left, 10)
    return len(left)


def end_kin(signs: Mapping[str, str], grace: float, grace_of_orphans: float) -> int:
    """End a family: its topmost members first, which may end theirs, then the others. Returns how many there were."""
    family = kin(signs)
    end(topmost(family), grace)
    end({**family, **kin(signs)}, grace_of_orphans)
    return len(family)


def started(pid: int) -> int | None:
    """Start time, in ticks since boot; None where there is no such process, or only its unread exit status."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def holders(file: Path) -> list[int]:
    """Processes that have a file open, as far as this user may see."""
    found = set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if handle.samefile(file):
                found.add(int(handle.parts[2]))
        except OSError:
            continue
    return sorted(found)


def _await_end(processes: Mapping[int, int], seconds: float) -> dict[int, int]:
    """Those that still run after that time at the latest."""
    deadline = time.monotonic() + seconds
    while left := {pid: ticks for pid, ticks in processes.items() if started(pid) == ticks}:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _send(pid: int, ticks: int, number: signal.Signals) -> None:
    """Signal that very process: the handle is taken before the start time is compared, so no stranger can get it."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if started(pid) == ticks:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _environment(pid: int) -> list[bytes]:
    """Empty for other users' processes and for those that are gone."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None
