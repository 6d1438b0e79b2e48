"""One worker's share of a training, in a process that Ray Train started."""

from pathlib import Path

import polars as pl
import torch
from ray.train import get_context
from ray.train.torch import get_device, prepare_model

from clir_core.align.spec import AlignSpec
from clir_core.align.train.finish import finish
from clir_core.align.train.held_out import HeldOut
from clir_core.align.train.loop import Trainer
from clir_core.align.train.objective import needs
from clir_core.align.train.run import run
from clir_core.align.train.teacher import teacher
from clir_core.model.checkpoint import Checkpoint


def work(
    spec: AlignSpec, base: Checkpoint, triples: pl.DataFrame, held: pl.DataFrame, directory: Path, threads: int
) -> None:
    """Train to the end beside the other workers, and fit the head."""
    torch.set_num_threads(threads)
    device, worker = str(get_device()), get_context().get_world_rank()
    frozen = teacher(base, spec.optimiser, triples, needs(spec.loss).teacher, directory / "teacher", device, worker)
    # rows without a q_x make for fewer forward passes, where buffers would be exchanged; a pooler has no gradient
    options = {"forward_sync_buffers": False, "find_unused_parameters": True}
    trainer = Trainer(
        base,
        spec,
        triples,
        frozen,
        device,
        worker,
        lambda model: prepare_model(model, parallel_strategy_kwargs=options),
    )
    pool = HeldOut(held) if len(held) else None
    run(trainer, pool, directory)
    if spec.head:
        finish(base, spec.optimiser, triples, pool, directory, device, worker)
