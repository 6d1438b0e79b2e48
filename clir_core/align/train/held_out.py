"""A small pool that training never sees: how well the weights retrieve, measured while they change.

Plain torch on a few passages: it tells which weights are best; how good they are, audits tell.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

MOST_GROUPS = 50  # more would tell little more, and cost training time

# vectors [texts, H] of `query` or `document` texts, as they are ranked
Embed = Callable[[Sequence[str], str], Tensor]


def hold_out(triples: pl.DataFrame, share: float, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Triples to train on, and those of a share of the passages' groups, drawn by the seed, to evaluate with.

    A query goes with all passages that answer it, and no held-out passage stays as a negative. None is held out where
    there would not be two groups of one language.
    """
    quota = min(MOST_GROUPS, round(share * triples["group_id"].n_unique()))
    drawn: set[str] = set()
    for family in sorted(_families(triples), key=lambda family: _hash(seed, min(family))):
        if len(drawn) + len(family) <= quota:
            drawn |= family
    is_held = pl.col("group_id").is_in(drawn)
    held = triples.filter(is_held)
    if not _pools(held):
        return triples, triples.clear()
    passages = held["p_en"].unique().to_list()
    negatives = pl.col("negatives").list.eval(pl.element().filter(~pl.element().is_in(passages)))
    return triples.filter(~is_held).with_columns(negatives), held


class PoolFigures(NamedTuple):
    """Means over languages: max_at_r_norm in percent, acc@1 from 0 to 1."""

    max_at_r_norm: float
    mono_acc: float


class HeldOut:
    """The held-out triples as pools: English alone, and for each language X its passages and English's."""

    def __init__(self, held: pl.DataFrame) -> None:
        self._pools = _pools(held)
        self._english = _Pool.of(held.with_columns(p_x="p_en", q_x=pl.lit(None, pl.String)))
        sides = {"query": ("q_en", "q_x"), "document": ("p_en", "p_x")}
        self._texts = {
            kind: sorted({text for side in both for text in held[side].drop_nulls()}) for kind, both in sides.items()
        }

    def measure(self, embed: Embed) -> PoolFigures:
        """Both figures for the weights that `embed` uses."""
        vectors = {kind: embed(texts, kind).float().cpu() for kind, texts in self._texts.items()}
        place = {kind: {text: i for i, text in enumerate(texts)} for kind, texts in self._texts.items()}

        def of(kind: str, texts: Sequence[str]) -> Tensor:
            return vectors[kind][[place[kind][text] for text in texts]]

        norms, accuracies = [], []
        for pool in self._pools:
            p_en_GH, p_x_GH = of("document", pool.p_en), of("document", pool.p_x)
            sides = []
            for queries, gold_QG in ((pool.q_en, pool.gold_en_QG), (pool.q_x, pool.gold_x_QG)):
                if queries:
                    scores_QD = of("query", queries) @ torch.cat([p_en_GH, p_x_GH]).T
                    sides.append(max_at_r_norm(scores_QD, gold_QG.repeat(1, 2)).mean())
            norms.append(torch.stack(sides).mean())
            if pool.q_x:
                accuracies.append(acc_at_1(of("query", pool.q_x) @ p_x_GH.T, pool.gold_x_QG).mean())
        english = self._english
        scores_QG = of("query", english.q_en) @ of("document", english.p_en).T
        accuracies.append(acc_at_1(scores_QG, english.gold_en_QG).mean())
        return PoolFigures(torch.stack(norms).mean().item(), torch.stack(accuracies).mean().item())


def max_at_r_norm(scores_QD: Tensor, gold_QD: Tensor) -> Tensor:
    """100 where a query's golds are on top, 0 where the last gold is last, float32 [Q] (Hong et al. 2026).

    Equal scores and NaN rank above a gold. gold_QD is boolean, with one at least in each row.
    """
    worst_Q = scores_QD.masked_fill(~gold_QD, torch.inf).amin(dim=1)
    n_golds_Q = gold_QD.sum(dim=1)
    rank_Q = n_golds_Q + (~(scores_QD < worst_Q[:, None]) & ~gold_QD).sum(dim=1)
    size, golds_Q = torch.tensor(float(gold_QD.shape[1])), n_golds_Q.float()
    found_Q = 100 * (size.log2() - rank_Q.float().log2()) / (size.log2() - golds_Q.log2())
    return torch.where(n_golds_Q == gold_QD.shape[1], 100.0, found_Q)


def acc_at_1(scores_QD: Tensor, gold_QD: Tensor) -> Tensor:
    """1 where a gold scores above everything else, otherwise 0, float32 [Q]. gold_QD is boolean."""
    best_gold_Q = scores_QD.masked_fill(~gold_QD, -torch.inf).amax(dim=1)
    return (best_gold_Q > scores_QD.masked_fill(gold_QD, -torch.inf).amax(dim=1)).float()


@dataclass(frozen=True)
class _Pool:
    """Groups of one language X with its queries; gold[q, g]: a passage of group g answers query q."""

    p_en: list[str]
    p_x: list[str]
    q_en: list[str]
    q_x: list[str]
    gold_en_QG: Tensor
    gold_x_QG: Tensor

    @staticmethod
    def of(triples: pl.DataFrame) -> "_Pool":
        groups = triples.unique("group_id", keep="first").sort("group_id")
        place = {group: i for i, group in enumerate(groups["group_id"])}

        def golds(side: str) -> tuple[list[str], Tensor]:
            asked = triples.drop_nulls(side)
            queries = asked.unique("query_group_id", keep="first").sort("query_group_id")
            row = {query: i for i, query in enumerate(queries["query_group_id"])}
            gold_QG = torch.zeros(len(queries), len(groups), dtype=torch.bool)
            for query, group in asked.select("query_group_id", "group_id").iter_rows():
                gold_QG[row[query], place[group]] = True
            return queries[side].to_list(), gold_QG

        (q_en, gold_en_QG), (q_x, gold_x_QG) = golds("q_en"), golds("q_x")
        return _Pool(groups["p_en"].to_list(), groups["p_x"].to_list(), q_en, q_x, gold_en_QG, gold_x_QG)


def _pools(held: pl.DataFrame) -> list[_Pool]:
    """One a language that has two groups at least: in a pool of one there is nothing to find."""
    by_language = held.partition_by("lang", as_dict=True)
    return [_Pool.of(part) for _, part in sorted(by_language.items()) if part["group_id"].n_unique() > 1]


def _families(triples: pl.DataFrame) -> list[frozenset[str]]:
    """Groups of passages that share a query, directly or over others."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    pairs = triples.select("group_id", "query_group_id").unique()
    for group, query in pairs.iter_rows():
        parent[root(("passages", group))] = root(("query", query))
    found: dict[tuple[str, str], set[str]] = {}
    for group in pairs["group_id"].unique():
        found.setdefault(root(("passages", group)), set()).add(group)
    return [frozenset(groups) for groups in found.values()]


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}/held out/{group}".encode()).hexdigest()
