"""What is odd about vectors, whatever model made them: zeros, equal ones, ones that hardly differ."""

import numpy as np
import polars as pl

from clir_core.rank.store import VectorTable

SAMPLED = 1_000
# the mean cosine of two texts from which on a model hardly tells them apart; of usual ones it is .1 to .85
_ALIKE = 0.99


def suspicions(table: VectorTable, texts: pl.DataFrame, kind: str) -> list[str]:
    """One sentence for each oddity among the vectors of a sample of these texts (id, text_hash, ...)."""
    different = texts.unique("text_hash", keep="first", maintain_order=True)
    sample = different.gather_every(max(1, len(different) // SAMPLED))
    vectors_NH = table.vectors(table.find(sample)["row_id"].to_numpy())
    return oddities(vectors_NH, {"document": "documents", "query": "queries"}[kind])


def oddities(vectors_NH: np.ndarray, what: str) -> list[str]:
    """The same of vectors of texts that all differ, [texts, H]."""
    n = len(vectors_NH)
    length_N = np.linalg.norm(vectors_NH, axis=1)
    zero = int((length_N == 0).sum())
    equal = n - zero - len(np.unique(vectors_NH[length_N > 0], axis=0))
    found = []
    if zero:
        found.append(f"{zero:,} of {n:,} {what} have a vector of zeros: they are at no distance from anything")
    if equal:
        found.append(f"{equal:,} of {n:,} {what} have the very vector of another text")
    unit_NH = vectors_NH[length_N > 0] / length_N[length_N > 0, None]
    m = len(unit_NH)
    # the sum of all cosines is the square of the sum of all vectors
    cosine = (float(np.square(unit_NH.sum(0, dtype=np.float64)).sum()) - m) / (m * (m - 1)) if m > 1 else 0.0
    if cosine >= _ALIKE:
        found.append(f"two {what} have a cosine of {cosine:.4f} on average: they are hardly told apart")
    return found
