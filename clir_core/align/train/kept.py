"""What a training run has to show in its directory. Imports no model: who starts a run and waits asks here."""

import shutil
from pathlib import Path

from clir_core.align.result import Evaluated
from clir_core.align.train.log import best, read
from clir_core.workspace import layout
from clir_core.workspace.steps import read_kept

HEADED, MEASURED = Path(layout.WEIGHTS, "head"), "head.json"


def checkpoint_at(directory: Path, step: int) -> Path:
    """Where the weights after a step belong."""
    return directory / layout.WEIGHTS / f"step-{step:07d}"


def kept(directory: Path) -> Path | None:
    """The checkpoint that a run has to show so far: that of its best evaluation, or the last where there is none."""
    found = best(read(directory, Evaluated))
    if found:
        return checkpoint_at(directory, found.step)
    return max((directory / layout.WEIGHTS).glob("step-*"), default=None)


def finished(directory: Path) -> tuple[Path, Evaluated | None] | None:
    """The checkpoint with its head and its figures on the held-out pool; None where no head was fitted."""
    if not (directory / HEADED).exists():
        return None
    file = directory / MEASURED
    return directory / HEADED, read_kept(file, Evaluated) if file.exists() else None


def clear(directory: Path) -> None:
    """Free the space of what only an unfinished run needs."""
    for name in (layout.STATES, layout.TEACHER, layout.RAY):
        shutil.rmtree(directory / name, ignore_errors=True)
