"""What a language adds to each of its vectors, and vectors without it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from clir_core.rank.store import VectorTable

BLOCK = 8192


@dataclass(frozen=True)
class Removal:
    """What is taken out of a language's vectors: this vector itself, or all that lies along it (its length is 1)."""

    vector_H: np.ndarray
    is_direction: bool = False

    def apply(self, vectors_NH: np.ndarray, unit: bool) -> np.ndarray:
        """The vectors without it, float32 [N, H]; of length 1 again where `unit`. Each by itself, to the last bit."""
        out_NH = np.empty_like(vectors_NH, np.float32)
        for at in range(0, len(vectors_NH), BLOCK):
            block_NH = vectors_NH[at : at + BLOCK].astype(np.float64)
            # sums along a row, no matrix product: its last bits would depend on how many rows it is given
            along_N1 = (block_NH * self.vector_H).sum(axis=1, keepdims=True) if self.is_direction else 1.0
            block_NH -= along_N1 * self.vector_H
            if unit:
                length_N1 = np.sqrt((block_NH * block_NH).sum(axis=1, keepdims=True))
                block_NH /= np.where(length_N1 > 0, length_N1, 1.0)
            out_NH[at : at + BLOCK] = block_NH
        return out_NH


def mean_of(table: VectorTable, rows: pl.DataFrame) -> np.ndarray:
    """The mean of the vectors in these rows (`row_id`), float64 [H]."""
    total_H = np.zeros(table.dim)
    for vectors_NH in _blocks(table, rows):
        total_H += vectors_NH.sum(axis=0)
    return total_H / len(rows)


def direction_of(table: VectorTable, rows: pl.DataFrame) -> np.ndarray:
    """The first right singular vector of the matrix whose rows they are, which are not centred, float64 [H]."""
    # the right singular vectors of M are the eigenvectors of M'M, which adds up over blocks
    gram_HH = np.zeros((table.dim, table.dim))
    for vectors_NH in _blocks(table, rows):
        gram_HH += vectors_NH.T @ vectors_NH
    return np.linalg.eigh(gram_HH).eigenvectors[:, -1]


def _blocks(table: VectorTable, rows: pl.DataFrame) -> Iterator[np.ndarray]:
    row_ids = rows["row_id"].to_numpy()
    for at in range(0, len(row_ids), BLOCK):
        yield table.vectors(row_ids[at : at + BLOCK]).astype(np.float64)
