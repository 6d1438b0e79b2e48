"""What follows the last step: the head is fitted to the weights that were kept, and measured on the held-out pool."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from clir_core.align.result import Evaluated
from clir_core.align.spec import OptimiserSpec
from clir_core.align.train.head import fit_head, fit_head_to_texts, save_with_head, with_head
from clir_core.align.train.held_out import HeldOut
from clir_core.align.train.judged import Encode, Judged, at_hand, read_judged, write_judged
from clir_core.align.train.kept import HEADED, MEASURED, kept
from clir_core.align.train.parts import cut_encoder, end_of_body, lengths, ranked, tokens, used_dim
from clir_core.align.train.teacher import teacher
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load_as_saved
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_folder, write_text

_SIDES, _BARE = frozenset({"p_en", "p_x", "q_en", "q_x"}), frozenset({"p_x", "q_x"})


def finish(
    base: Checkpoint,
    spec: OptimiserSpec,
    triples: pl.DataFrame,
    held: HeldOut | None,
    directory: Path,
    device: str = "cpu",
    worker: int = 0,
    bare: pl.DataFrame | None = None,
) -> None:
    """Write the kept checkpoint, or the base where no step was made, with its head. Every worker must call it.

    The head is fitted to bare texts where there are any, else to the triples' translations.
    """
    weights = kept(directory)
    tuned = base.model_copy(update={"path": weights or base.path})
    # texts whole, as the head will meet them
    fitted, sides = (bare, _BARE) if bare is not None and len(bare) else (triples, _SIDES)
    found = teacher(tuned, _whole(base), fitted, sides, directory / layout.TEACHER / "head", device, worker)
    if worker:
        return
    model = load_as_saved(tuned, device)
    dim = used_dim(model, base)
    found = {side: ranked(values, dim, base.normalize) for side, values in found.items()}
    if sides == _BARE:
        head_DD = fit_head_to_texts(_by_language(found, fitted))
    else:
        head_DD = fit_head(found, triples["lang"].to_list())
    texts = at_hand(triples, base.max_tokens)
    with cut_encoder(model, tuned, _whole(base)) as encoder:
        vectors = {kind: encoder.encode(of_kind, kind) for kind, of_kind in texts.items()}
    if weights:
        read_judged(directory, weights.name).check(f"{weights}", _known(vectors, dim, base.normalize))
    # at the end a checkpoint may give its vectors length 1, whatever is ranked of them
    mapped = {kind: with_head(values, head_DD) for kind, values in vectors.items()}
    whole = {kind: ranked(values, None, end_of_body(model) < len(model)) for kind, values in mapped.items()}
    judged = Judged.of(texts, _known(whole, dim, base.normalize), lengths(model))
    write_folder(directory / HEADED, lambda scratch: save_with_head(tuned, head_DD, scratch), replace=True)
    write_judged(directory, HEADED.name, judged)
    if held:
        headed = base.model_copy(update={"path": directory / HEADED})
        write_text(directory / MEASURED, measured(headed, spec, held, device).model_dump_json())


def measured(checkpoint: Checkpoint, spec: OptimiserSpec, held: HeldOut, device: str = "cpu") -> Evaluated:
    """The held-out pool by a checkpoint, its texts cut as in training."""
    model = load_as_saved(checkpoint, device)
    dim = used_dim(model, checkpoint)
    with cut_encoder(model, checkpoint, tokens(spec)) as encoder:

        def embed(texts: Sequence[str], kind: str) -> Tensor:
            return torch.from_numpy(ranked(encoder.encode(texts, kind), dim, checkpoint.normalize))

        return Evaluated.of(0, *held.measure(embed))


def _by_language(found: Mapping[str, np.ndarray], bare: pl.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Vectors of bare texts by kind and language."""
    return {
        (str(kind), str(lang)): found[side][rows["row"].to_numpy()]
        for side in sorted(_BARE)
        for (kind, lang), rows in bare.with_row_index("row").drop_nulls(side).group_by("kind", "lang")
    }


def _whole(base: Checkpoint) -> dict[str, int]:
    return dict.fromkeys(("query", "document"), base.max_tokens)


def _known(vectors: Mapping[str, np.ndarray], dim: int | None, normalize: bool) -> Encode:
    """An encoder of the texts that these vectors are of."""
    return lambda _, kind: ranked(vectors[kind], dim, normalize)
