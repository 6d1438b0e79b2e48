"""Hubs: documents that are near to queries of all kinds stand first for many of them. They are pushed down.

score = 2 q.d - w r(d), r(d) the mean of d's k largest scores to a bank of unlabelled queries (CSLS, Conneau et al.
2018, arXiv 1710.04087; NNN, Chowdhury et al., EMNLP 2024). Half of it is one product more: documents get -w r(d) / 2 as
a further coordinate, queries a 1 there. With a bank for every language of queries there is a coordinate for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from clir_core.rank.forms import TILE, padded, score_tile, tile_of


@dataclass(frozen=True)
class Hub:
    """Banks of queries by their language, corrected as queries are, float32 [B, H]; k, and the weight w.

    One bank under the name "" is for queries of all languages.
    """

    banks: Mapping[str, np.ndarray]
    k: int
    weight: float

    def of_documents(self, vectors_NH: np.ndarray) -> np.ndarray:
        """Documents with a coordinate for every bank, float32 [N, H + banks]. Each by itself, to the last bit."""
        further = [-0.5 * self.weight * nearness(bank_BH, vectors_NH, self.k) for bank_BH in self.banks.values()]
        return np.column_stack([vectors_NH, *further]).astype(np.float32)

    def of_queries(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Queries of a language that meet them, float32 [N, H + banks]."""
        further = np.zeros((len(vectors_NH), len(self.banks)), np.float32)
        further[:, [*self.banks].index(lang if "" not in self.banks else "")] = 1.0
        return np.hstack([vectors_NH, further])


def nearness(bank_BH: np.ndarray, vectors_NH: np.ndarray, k: int) -> np.ndarray:
    """The mean of the k largest dot products of each vector with a bank, float64 [N]; of all, where it holds fewer."""
    # tiles of one shape, as in the ranking: so it depends on nothing but the vector and the bank
    bank, docs = padded(bank_BH), padded(vectors_NH)
    n_bank, k = len(bank_BH), min(k, len(bank_BH))
    found_N = np.empty(len(vectors_NH))
    scores_TT = torch.empty(TILE, TILE)
    products_BT = np.empty((len(bank), TILE), np.float32)
    for at in range(0, len(vectors_NH), TILE):
        tile = tile_of(docs, at)
        for bank_at in range(0, len(bank), TILE):
            score_tile(bank, bank_at, tile, scores_TT)
            products_BT[bank_at : bank_at + TILE] = scores_TT.numpy()
        largest_KT = np.partition(products_BT[:n_bank], n_bank - k, axis=0)[n_bank - k :]
        # in one order: a sum of other order has other last bits
        means_T = np.sort(largest_KT, axis=0).astype(np.float64).mean(axis=0)
        found_N[at : at + TILE] = means_T[: len(vectors_NH) - at]
    return found_N
