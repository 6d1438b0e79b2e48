"""The frozen base's embeddings of the training texts, computed once a run.

Texts are cut as in training: the base's answer to what the trained model reads, not to more of it. All dimensions are
kept, also of a checkpoint of which fewer are ranked: the loss is of what the model gives.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from torch import distributed as dist

from clir_core.align.train.gathering import workers
from clir_core.align.train.parts import cut_encoder
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load_as_saved
from clir_core.workspace.atomic import write_file

KIND = {"q_en": "query", "q_x": "query", "p_en": "document", "p_x": "document", "negatives": "document"}
# by side, float32 [triples, H]; rows without a q_x are zeros
Teacher = Mapping[str, np.ndarray]


def teacher(
    base: Checkpoint,
    tokens: Mapping[str, int],
    triples: pl.DataFrame,
    sides: frozenset[str],
    directory: Path,
    device: str = "cpu",
    worker: int = 0,
) -> Teacher:
    """Embeddings of these sides, of texts of each kind cut at so many tokens; every worker must call it.

    Every distinct text is encoded once; each worker encodes a part and keeps it as a file in the directory.
    """
    kinds = sorted({KIND[side] for side in sides})
    texts = {kind: _distinct(triples, [side for side in sides if KIND[side] == kind]) for kind in kinds}
    todo = [kind for kind in kinds if not _part(directory, kind, worker).exists()]
    if todo:
        with cut_encoder(load_as_saved(base, device), base, tokens) as encoder:
            for kind in todo:
                _write(_part(directory, kind, worker), encoder.encode(texts[kind][worker :: workers()], kind))
    if workers() > 1:
        dist.barrier()
    found = {}
    for kind in kinds:
        whole = _whole(directory, kind, len(texts[kind]))
        place = {text: i for i, text in enumerate(texts[kind])}
        for side in sorted(side for side in sides if KIND[side] == kind):
            # the last row, of zeros, is for a text that is not there
            found[side] = whole[[place.get(text, -1) for text in triples[side]]]
    return found


def _distinct(triples: pl.DataFrame, sides: list[str]) -> list[str]:
    return sorted({text for side in sides for text in triples[side].drop_nulls()})


def _part(directory: Path, kind: str, worker: int) -> Path:
    return directory / f"{kind}-{worker}-of-{workers()}.npy"


def _write(file: Path, values: np.ndarray) -> None:
    write_file(file, lambda scratch: np.save(scratch, values))


def _whole(directory: Path, kind: str, n_texts: int) -> np.ndarray:
    """All workers' parts in the order of the texts, and a row of zeros."""
    parts = [np.load(_part(directory, kind, worker)) for worker in range(workers())]
    whole = np.zeros((n_texts + 1, parts[0].shape[1]), np.float32)
    for worker, part in enumerate(parts):
        whole[worker : n_texts : workers()] = part
    return whole
