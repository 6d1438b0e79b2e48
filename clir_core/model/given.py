"""What holds of all vectors that somebody else made: how their columns are called, and when they can be ranked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clir_core.errors import VectorsError

IDS, VECTORS = ("id", "doc_id", "query_id", "_id"), ("vector", "embedding")
SHOWN = 5
_UNIT = 1e-5  # vectors whose length differs from 1 by less are left as they are, to the last bit


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(map(str, names[:SHOWN]))}{more}"


def stacked(what: str, ids: Sequence[str], rows: Sequence[Any]) -> np.ndarray:
    """Rows of numbers as float32 [rows, dim]. VectorsError that names those of another length than most."""
    check_lengths(what, ids, [0 if row is None else np.size(row) for row in rows])
    return np.asarray([np.asarray(row, np.float32).ravel() for row in rows])


def check_lengths(what: str, ids: Sequence[str], lengths: list[int]) -> None:
    """VectorsError that names the vectors of another length than most; of length 0 none may be."""
    size = max(set(lengths), key=lengths.count, default=0)
    other = [f"{key} ({length})" for key, length in zip(ids, lengths, strict=True) if length != size]
    if other or not size:
        raise VectorsError(f"{what}: most vectors have {size} dimensions, but not {listed(other)}; mend these")


def from_arrow(what: str, ids: Sequence[str], column: pa.Array) -> np.ndarray:
    """A column of vectors as float32 [rows, dim]: lists of one length, fixed or not, or tensors, of any number type.

    VectorsError that names what is null or of another length, or says that the column holds no vectors.
    """
    vectors = column.storage if isinstance(column, pa.ExtensionArray) else column
    if not (pa.types.is_nested(vectors.type) and _is_number(getattr(vectors.type, "value_type", None))):
        raise VectorsError(f"{what}: a column of {column.type}, where lists of numbers are expected; name another one")
    if vectors.null_count:
        raise VectorsError(f"{what}: null in place of the vectors of {listed(_where(ids, vectors.is_null()))}")
    if not pa.types.is_fixed_size_list(vectors.type):
        lengths = pc.list_value_length(vectors).to_pylist()
        check_lengths(what, ids, lengths)
        vectors = vectors.cast(pa.list_(vectors.type.value_type, lengths[0]))
    flat_N = vectors.flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, which is refused by name
        return flat_N.astype(np.float32).reshape(len(vectors), vectors.type.list_size)


def unusable(ids: Sequence[str], vectors_NH: np.ndarray, normalize: bool) -> dict[str, list[str]]:
    """Ids of vectors that cannot be ranked, by what is wrong with them; for cosine, those of length 0 too."""
    is_finite_N = np.isfinite(vectors_NH).all(axis=1)
    is_zero_N = ~vectors_NH.any(axis=1) & normalize
    wrong = {"NaN or infinity": ~is_finite_N, "nothing but zeros": is_zero_N}
    return {what: [str(ids[at]) for at in np.flatnonzero(rows).tolist()] for what, rows in wrong.items() if rows.any()}


def unit(vectors_NH: np.ndarray) -> np.ndarray:
    """Vectors of length 1, float32; those that have it are left to the last bit."""
    length_N1 = np.linalg.norm(vectors_NH.astype(np.float64), axis=1, keepdims=True)
    has_it = np.abs(length_N1 - 1) < _UNIT
    return np.where(has_it, vectors_NH, (vectors_NH / length_N1).astype(np.float32))


def _is_number(kind: pa.DataType | None) -> bool:
    return kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _where(ids: Sequence[str], is_so: pa.BooleanArray) -> list[str]:
    return [str(ids[at]) for at in np.flatnonzero(is_so.to_numpy(zero_copy_only=False)).tolist()]
