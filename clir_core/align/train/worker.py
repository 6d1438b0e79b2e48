"""One worker's share of a training: alone, or beside others in a process group that somebody else made."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
from torch import nn

from clir_core.align.spec import AlignSpec
from clir_core.align.train.finish import finish, measured
from clir_core.align.train.held_out import HeldOut
from clir_core.align.train.log import add
from clir_core.align.train.loop import Trainer
from clir_core.align.train.objective import needs
from clir_core.align.train.parts import tokens
from clir_core.align.train.run import run
from clir_core.align.train.teacher import teacher
from clir_core.model.checkpoint import Checkpoint
from clir_core.workspace import layout


def work(
    spec: AlignSpec,
    base: Checkpoint,
    triples: pl.DataFrame,
    held: pl.DataFrame,
    directory: Path,
    device: str = "cpu",
    worker: int = 0,
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model,
    bare: pl.DataFrame | None = None,
) -> None:
    """Train to the end, and fit the head, to bare texts where there are any.

    `wrap` prepares the model for its process group.
    """
    pool = HeldOut(held) if len(held) else None
    if spec.epochs:
        frozen = teacher(
            base, tokens(spec.optimiser), triples, needs(spec.loss).teacher, directory / layout.TEACHER, device, worker
        )
        run(Trainer(base, spec, triples, frozen, device, worker, wrap), pool, directory)
    elif pool and not worker:
        add(directory, measured(base, spec.optimiser, pool, device))
    if spec.head:
        finish(base, spec.optimiser, triples, pool, directory, device, worker, bare)
