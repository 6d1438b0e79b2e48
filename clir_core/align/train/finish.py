"""What follows the last step: the head is fitted to the weights that were kept, and measured on the held-out pool."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from clir_core.align.result import Evaluated
from clir_core.align.spec import OptimiserSpec
from clir_core.align.train.head import fit_head, save_with_head
from clir_core.align.train.held_out import HeldOut
from clir_core.align.train.kept import HEADED, MEASURED, kept
from clir_core.align.train.teacher import teacher, tokens
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.encoder import load_encoder
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_folder, write_text

_SIDES = frozenset({"p_en", "p_x", "q_en", "q_x"})


def finish(
    base: Checkpoint,
    spec: OptimiserSpec,
    triples: pl.DataFrame,
    held: HeldOut | None,
    directory: Path,
    device: str = "cpu",
    worker: int = 0,
) -> None:
    """Write the kept checkpoint, or the base where no step was made, with its head. Every worker must call it."""
    tuned = base.model_copy(update={"path": kept(directory) or base.path})
    # texts whole, as the head will meet them
    whole = spec.model_copy(update={"query_tokens": base.max_tokens, "passage_tokens": base.max_tokens})
    found = teacher(tuned, whole, triples, _SIDES, directory / layout.TEACHER / "head", device, worker)
    if worker:
        return
    head_HH = fit_head(found, triples["lang"].to_list())
    write_folder(directory / HEADED, lambda scratch: save_with_head(tuned, head_HH, scratch), replace=True)
    if held:
        headed = base.model_copy(update={"path": directory / HEADED})
        write_text(directory / MEASURED, _measured(headed, spec, held, device).model_dump_json())


def _measured(checkpoint: Checkpoint, spec: OptimiserSpec, held: HeldOut, device: str) -> Evaluated:
    """The held-out pool, its texts cut as in the evaluations before."""
    encoders = {
        kind: load_encoder(
            checkpoint.model_copy(update={"max_tokens": min(checkpoint.max_tokens, tokens(spec, kind))}), device
        )
        for kind in ("query", "document")
    }

    def embed(texts: Sequence[str], kind: str) -> Tensor:
        return torch.from_numpy(encoders[kind].encode(texts, kind))

    return Evaluated.of(0, *held.measure(embed))
