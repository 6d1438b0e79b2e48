"""What a language adds to each of its vectors, and vectors without it."""

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


class Moments:
    """What mean and direction of vectors follow from, which adds up over blocks."""

    def __init__(self, dim: int) -> None:
        self.n = 0
        self._total_H, self._gram_HH = np.zeros(dim), np.zeros((0, 0))

    def add(self, vectors_NH: np.ndarray, with_gram: bool) -> None:
        """Take in a block; of a mean alone, without the products that a direction needs."""
        block_NH = vectors_NH.astype(np.float64)
        self.n += len(block_NH)
        self._total_H += block_NH.sum(axis=0)
        if with_gram:
            self._gram_HH = (self._gram_HH if self._gram_HH.size else 0.0) + block_NH.T @ block_NH

    def mean(self) -> np.ndarray:
        """Float64 [H]."""
        return self._total_H / self.n

    def direction(self) -> np.ndarray:
        """The first right singular vector of the matrix whose rows they are, which are not centred, float64 [H]."""
        # the right singular vectors of M are the eigenvectors of M'M
        return np.linalg.eigh(self._gram_HH).eigenvectors[:, -1]

    def removal(self, name: str) -> Removal:
        """What `lir` takes out, or what the others do."""
        return Removal(self.direction(), is_direction=True) if name == "lir" else Removal(self.mean())


def moments_of(table: VectorTable, rows: pl.DataFrame, with_gram: bool = False) -> Moments:
    """Of the vectors in these rows (`row_id`)."""
    found, row_ids = Moments(table.dim), rows["row_id"].to_numpy()
    for at in range(0, len(row_ids), BLOCK):
        found.add(table.vectors(row_ids[at : at + BLOCK]), with_gram)
    return found
