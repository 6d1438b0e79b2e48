"""An audit and an alignment are stopped at every commit point: whatever the code writes, renames, links or removes.

Listed by running once, with Python's own audit events (PEP 578) below the workspace; then, a process a point, killed
there, or told that the disk is full or read-only. The same command has to end as the undisturbed one did.
"""

import errno
import multiprocessing
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from corpus_case import write_demo_part  # noqa: E402
from tiny_case import write_tiny  # noqa: E402

from clir_core.align.spec import AlignSpec, OptimiserSpec  # noqa: E402
from clir_core.audit.spec import AuditSpec  # noqa: E402
from clir_core.errors import ClirError  # noqa: E402
from clir_core.registry.registry import Registry  # noqa: E402
from clir_core.runs.align import align  # noqa: E402
from clir_core.runs.audit import audit  # noqa: E402
from clir_core.runs.doctor import examine  # noqa: E402
from clir_core.runs.here import Here  # noqa: E402
from clir_core.runs.runner import Runner  # noqa: E402

FAULTS = {"killed (-9)": None, "disk full": errno.ENOSPC, "read-only": errno.EROFS}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod")
LISTED, TOLD = "points", "told"  # files beside the workspace
REFUSED = 3  # exit code of an error with a message
SECONDS = 300
SERVER = multiprocessing.get_context("forkserver")


class Point(NamedTuple):
    """A fault at a commit point, and what came of it."""

    command: str
    fault: str
    at: str
    lost: str


def run(folder: Path, points: int) -> Iterator[Point]:
    """Stop both commands at as many points, evenly spread, or at all that there are; in one way after another."""
    SERVER.set_forkserver_preload([HERE.stem])
    for command in ("audit", "align"):
        place = folder / command
        place.mkdir()
        write_demo_part(place / "corpus", ("de",), 6)
        write_tiny(place / "tiny")
        wanted = _ended(place, command)
        listed = (place / LISTED).read_text("utf-8").splitlines()
        chosen = sorted({round(at * (len(listed) - 1) / max(1, points - 1)) for at in range(points)})
        for number, fault in zip(chosen, cycle(FAULTS)):
            shutil.rmtree(place / "workspace")
            yield Point(command, fault, listed[number], _lost(place, command, fault, number, wanted))


def _lost(place: Path, command: str, fault: str, number: int, wanted: str) -> str:
    """What is otherwise than in an undisturbed run; empty where nothing is."""
    code = _process(place, command, fault, number)
    if fault == "killed (-9)" and code != -signal.SIGKILL:
        return "it was not hit"
    if code not in (0, REFUSED, -signal.SIGKILL):
        return f"exit code {code}: {(place / TOLD).read_text('utf-8').strip()}"
    return "" if _ended(place, command) == wanted else "another result"


def _ended(place: Path, command: str) -> str:
    """Run it to its end: its figures, what the registry knows, and what is damaged."""
    code = _process(place, command, "none", 0)
    return f"{code}: {(place / TOLD).read_text('utf-8')}"


def _process(place: Path, command: str, fault: str, number: int) -> int | None:
    """The exit code of a process of its own, in which all is imported already."""
    (place / TOLD).unlink(missing_ok=True)
    started = SERVER.Process(target=_child, args=(place, command, fault, number))
    started.start()
    started.join(SECONDS)
    if started.is_alive():
        started.kill()
        started.join()
        return None
    return started.exitcode


class Watch:
    """Counts the commit points below a folder, and stops the process at one of them."""

    def __init__(self, folder: Path, fault: str, number: int) -> None:
        self.folder, self.fault, self.number = str(folder), fault, number
        self.points: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        """An audit event, before it happens."""
        if not (event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & WRITING)):
            return
        paths = [str(arg) for arg in args if isinstance(arg, str | os.PathLike)]
        if not any(path.startswith(self.folder) for path in paths):
            return
        self.points.append(f"{event} {paths[0].removeprefix(self.folder)}")
        if self.fault == "none" or len(self.points) - 1 < self.number:
            return
        if (code := FAULTS[self.fault]) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif event not in ("os.remove", "os.rmdir") or code == errno.EROFS:
            raise OSError(code, os.strerror(code))  # from here on: a disk stays full


def _child(place: Path, command: str, fault: str, number: int) -> None:
    """One run of the command, in this process; what it came to is put into a file."""
    workspace = place / "workspace"
    watch = Watch(workspace, fault, number)
    sys.addaudithook(watch)
    try:
        found = _audit(place, workspace) if command == "audit" else _align(place, workspace)
    except ClirError as error:
        (place / TOLD).write_text(str(error), "utf-8")
        sys.exit(REFUSED)
    except BaseException:
        watch.fault = "none"
        (place / TOLD).write_text(traceback.format_exc(), "utf-8")
        raise
    watch.fault = "none"
    (place / LISTED).write_text("\n".join(watch.points), "utf-8")
    known = [(entry.name, entry.status, len(entry.audits)) for entry in Registry(workspace).entries()]
    damaged = [finding.said for finding in examine(workspace) if finding.is_damage]
    (place / TOLD).write_text(f"{found}\n{known}\n{damaged}", "utf-8")


def _audit(place: Path, workspace: Path) -> object:
    model, corpus = str(place / "tiny"), f"parquet:{place / 'corpus'}"
    spec = AuditSpec(model=model, corpus=corpus, scenarios=("mono", "multi"), workspace=workspace)
    return audit(spec, Here(), Runner()).result.metrics


def _align(place: Path, workspace: Path) -> object:
    spec = AlignSpec(
        base=str(place / "tiny"),
        evaluation=f"parquet:{place / 'corpus'}",
        allow_contamination=("*",),
        languages=("de",),
        triples=16,
        loss="infonce",
        head=False,
        optimiser=OptimiserSpec(batch=8, query_tokens=16, passage_tokens=16),
        held_out=0.0,
        workspace=workspace,
    )
    return align(spec, Here(), Runner(), lambda _, spec: audit(spec, Here(), Runner()).out).result.differences
