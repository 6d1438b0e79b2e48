"""A detached process that a later command knows again, with all its descendants, and never mistakes for a stranger.

Linux only: it reads /proc.
"""

import subprocess
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from clir_core.spec import Spec
from clir_core.workspace import processes
from clir_core.workspace.storage import explained

# in the environment of the process, hence in that of everything it starts, whatever session or parent that ends up in
MARK = "CLIR_SERVICE_MARK"
# beside it, in the environment of each part of the service
PART = "CLIR_SERVICE_PART"
ORPHANS_GRACE = 2  # seconds: Ray's actors wait for a cluster that is gone, and do not end by themselves


class Running(Spec):
    """What was started. Pids are used again; a pid with its start time and boot is not."""

    pid: int = Field(gt=1)  # a signal to others goes to groups, or to everybody
    ticks: int  # since boot, as in /proc/PID/stat
    boot: str
    mark: str
    command: tuple[str, ...]
    since: datetime
    log: Path


def start(command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Running:
    """Start a process in a session of its own, its output at the end of `log`."""
    mark = uuid.uuid4().hex
    with explained(log), log.open("ab") as output:
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
        ticks=processes.started(process.pid) or 0,
        boot=_boot(),
        mark=mark,
        command=tuple(command),
        since=since,
        log=log,
    )


def alive(running: Running) -> bool:
    """Whether that very process still runs."""
    return running.boot == _boot() and processes.started(running.pid) == running.ticks


def kin(mark: str, part: str | None = None) -> dict[int, int]:
    """The processes of a service, or of one part of it: pid to start time."""
    return processes.kin(signs(mark, part))


def signs(mark: str, part: str | None = None) -> dict[str, str]:
    """What stands in the environment of a service's processes, or of those of a part."""
    return {MARK: mark, **({PART: part} if part else {})}


def stop(running: Running, grace: float) -> int:
    """End the process, then what it left behind: returns how many went on without it."""
    if alive(running):
        processes.end({running.pid: running.ticks}, grace)
    if running.boot != _boot():
        return 0
    return processes.end_kin(signs(running.mark), ORPHANS_GRACE, ORPHANS_GRACE)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
