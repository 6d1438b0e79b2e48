"""What texts are scored by, and the scores of a tile of them: one vector each, weighted terms, or several vectors.

A score comes out of the same computation, to the last bit, in whatever tile and at whatever place in it a pair stands.
Dense vectors, padded by `padded`, are tensors; the two other forms know their own scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from scipy.sparse import csr_array, vstack

TILE = 256
# of a document without any vector: below all others, and no infinity, which marks what is left out
_LOWEST = np.finfo(np.float32).min


@dataclass(frozen=True)
class Sparse:
    """Weights of terms, [N, terms]. Two texts score by their dot product, summed term by term in double precision."""

    weights: csr_array

    def __post_init__(self) -> None:
        self.weights.sort_indices()  # the order of the sum

    def __len__(self) -> int:
        return int(self.weights.shape[0])

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that it holds."""
        return self.weights.data, self.weights.indices, self.weights.indptr

    def take(self, rows: np.ndarray) -> "Sparse":
        """These texts, in this order."""
        return Sparse(self.weights[rows])

    def tile(self, at: int) -> csr_array:
        """The documents of a tile, [terms, at most TILE], for `score`."""
        return self.weights[at : at + TILE].astype(np.float64).T.tocsr()

    def score(self, at: int, tile: csr_array, out_TT: torch.Tensor) -> None:
        """Scores of the queries from `at` on and the documents of a tile; places beyond either are left as they are."""
        found = (self.weights[at : at + TILE].astype(np.float64) @ tile).toarray()
        out_TT[: found.shape[0], : found.shape[1]] = torch.from_numpy(found.astype(np.float32))


@dataclass(frozen=True)
class Tokens:
    """Several vectors a text: those of text n are rows first_N[n]:first_N[n+1] of tokens_TH, float32.

    A query scores a document by MaxSim: over its own vectors, the sum of the largest dot product with one of the
    document's. A document without vectors comes last.
    """

    tokens_TH: np.ndarray
    first_N: np.ndarray

    def __len__(self) -> int:
        return len(self.first_N) - 1

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that it holds."""
        return self.tokens_TH, self.first_N

    def take(self, rows: np.ndarray) -> "Tokens":
        """These texts, in this order; neighbours are not copied."""
        lengths = np.diff(self.first_N)[rows]
        first = np.concatenate([[0], np.cumsum(lengths)])
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            begin = self.first_N[rows[0]]
            return Tokens(self.tokens_TH[begin : begin + first[-1]], first)
        places = np.repeat(self.first_N[:-1][rows] - first[:-1], lengths) + np.arange(first[-1])
        return Tokens(self.tokens_TH[places], first)

    def tile(self, at: int) -> list[tuple[torch.Tensor, np.ndarray]]:
        """The documents' vectors of a tile, for `score`: TILE at a time, and which document of the tile each is of."""
        stop = min(at + TILE, len(self))
        owner_T = np.repeat(np.arange(stop - at), np.diff(self.first_N[at : stop + 1]))
        begin = self.first_N[at]
        return [
            (self._chunk(begin + chunk, self.first_N[stop]), owner_T[chunk : chunk + TILE])
            for chunk in range(0, len(owner_T), TILE)
        ]

    def score(self, at: int, tile: list[tuple[torch.Tensor, np.ndarray]], out_TT: torch.Tensor) -> None:
        """Scores of the queries from `at` on and the documents of a tile; places beyond either are left as they are."""
        first_Q = self.first_N[at : at + TILE + 1]
        found = []
        products_TT = torch.empty(TILE, TILE)
        for begin in range(first_Q[0], first_Q[-1], TILE):
            queries_TH = self._chunk(begin, first_Q[-1])
            best_DT = np.full((TILE, TILE), -np.inf, np.float32)
            for docs_TH, owner_T in tile:
                torch.mm(docs_TH, queries_TH.T, out=products_TT)
                _take_best(products_TT.numpy(), owner_T, best_DT)
            found.append(best_DT)
        best_DT = np.concatenate(found, axis=1) if found else np.empty((TILE, 0), np.float32)
        _sum_best(best_DT, first_Q - first_Q[0], out_TT.numpy())

    def _chunk(self, begin: int, end: int) -> torch.Tensor:
        """Vectors from `begin` on, but not beyond `end`, padded to TILE."""
        return padded(self.tokens_TH[begin : min(begin + TILE, end)])


# queries or documents as they come, and as they are scored
Vectors = np.ndarray | Sparse | Tokens
Form = torch.Tensor | Sparse | Tokens


def formed(vectors: Vectors) -> Form:
    """Ready to be scored in tiles."""
    return padded(vectors) if isinstance(vectors, np.ndarray) else vectors


def padded(vectors_NH: np.ndarray) -> torch.Tensor:
    """A float32 copy [N rounded up to whole tiles, H], the rest zeros."""
    n, dim = vectors_NH.shape
    out = torch.zeros(-(-n // TILE) * TILE, dim)
    out[:n] = torch.from_numpy(np.ascontiguousarray(vectors_NH, np.float32))
    return out


def joined(parts: Sequence[Vectors]) -> Form:
    """Documents of several parts of one form in a row, for `gathered`."""
    first = parts[0]
    if isinstance(first, Sparse):
        return Sparse(csr_array(vstack([part.weights for part in parts if isinstance(part, Sparse)], "csr")))
    if isinstance(first, Tokens):
        tokens = [part for part in parts if isinstance(part, Tokens)]
        lengths = np.concatenate([np.diff(part.first_N) for part in tokens])
        return Tokens(np.concatenate([part.tokens_TH for part in tokens]), np.concatenate([[0], np.cumsum(lengths)]))
    return torch.from_numpy(np.concatenate([part for part in parts if isinstance(part, np.ndarray)]))


def tile_of(docs: Form, at: int) -> Any:
    """The documents of a tile, for `score_tile`."""
    return docs[at : at + TILE] if isinstance(docs, torch.Tensor) else docs.tile(at)


def gathered(docs: Form, rows: np.ndarray) -> Any:
    """A tile of these documents, at most TILE, for `score_tile`."""
    if not isinstance(docs, torch.Tensor):
        return docs.take(rows).tile(0)
    docs_TH = torch.zeros(TILE, docs.shape[1])
    docs_TH[: len(rows)] = docs[torch.from_numpy(rows)]
    return docs_TH


def score_tile(queries: Form, at: int, tile: Any, out_TT: torch.Tensor) -> None:
    """Scores of the queries from `at` on and the documents of a tile. Beyond either, `out_TT` holds anything."""
    if isinstance(queries, torch.Tensor):
        torch.mm(queries[at : at + TILE], tile.T, out=out_TT)
    else:
        queries.score(at, tile, out_TT)


@numba.njit(nogil=True, cache=True)
def _take_best(products: np.ndarray, owner: np.ndarray, best: np.ndarray) -> None:
    # a row a document's vector: so neighbours are compared at once
    for row in range(len(owner)):
        line, held = products[row], best[owner[row]]
        for column in range(TILE):
            held[column] = line[column] if line[column] > held[column] else held[column]


@numba.njit(nogil=True, cache=True)
def _sum_best(best: np.ndarray, first: np.ndarray, out: np.ndarray) -> None:
    for query in range(len(first) - 1):
        for doc in range(out.shape[1]):
            total = 0.0
            for column in range(first[query], first[query + 1]):
                total += best[doc, column]
            out[query, doc] = max(total, _LOWEST)
