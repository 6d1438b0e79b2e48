"""Metrics: each is a name, a unit and a Polars expression over one query in one pool; those that scenarios share.

Definitions are trec_eval's where it has them, else those of Hong et al. 2026 (arXiv 2604.05684, "the paper"), MLAIRE
(2605.07249), SHIFT (2606.18801), 2509.06195. `measure/metrics.py` prepares the rows and computes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from clir_core.corpus.pivot import ENGLISH

# more, less, or the value of a model that favours neither language
Better = Literal["higher", "lower", "0", "0.5"]
OTHER = pl.col("gold_lang") != pl.col("query_lang")


@dataclass(frozen=True, eq=False)
class Metric:
    """One figure of one query in one pool; null where it is not defined, which does not count.

    `over` says which rows its expression sees. golds: those of ranks.parquet, with `outranking`, unrelated documents of
    any language that outrank, with `lean` and `neutral_pivot` of measure.neutral, with `own` and `other`, the rank of
    the version in the query's language and the row's own where it is another one, and `tied`, whether both score the
    same. top: those of topk.parquet, with `pivot_in_pool`, the pivot's share. In both `is_pivot` says whether the
    row's document is in the pivot. pair: one row, X's query with the metrics of its parallel query in the pivot,
    <name>_pivot, and the correlation of their lists, list_rho@<k>.
    """

    name: str
    value: pl.Expr
    unit: str
    better: Better | None = None
    over: Literal["golds", "top", "pair"] = "golds"


def _max_at_r_norm() -> pl.Expr:
    """100 when the golds are on top, 0 when the last is last; log2, so that 2 against 4 weighs as 200 against 400."""
    size, golds = pl.col("pool_size").first().log(2), pl.col("n_golds").first().log(2)
    return pl.when(size > golds).then(100 * (size - pl.col("rank").max().log(2)) / (size - golds)).otherwise(100.0)


MAX_AT_R = Metric("max_at_r", pl.col("rank").max(), "rank", "lower")
MAX_AT_R_NORM = Metric("max_at_r_norm", _max_at_r_norm(), "percent", "higher")
MRR = Metric("mrr", 1 / pl.col("rank").min(), "rate", "higher")
ACC_AT_1 = Metric("acc@1", pl.col("rank").min() <= 1, "rate", "higher")


def complete(k: int) -> Metric:
    """Every gold is within the first k: the paper's. Not defined where there are more golds than k."""
    fits = pl.col("n_golds").first() <= k
    return Metric(f"complete@{k}", pl.when(fits).then(pl.col("rank").max() <= k), "rate", "higher")


def ndcg(k: int) -> Metric:
    """trec_eval's ndcg_cut: the gain is the grade, the discount log2(rank + 1)."""
    gain = (pl.col("grade") / (pl.col("rank") + 1).log(2)).filter(pl.col("rank") <= k).sum()
    ideal = pl.col("grade").sort(descending=True).head(k)
    best = (ideal / (pl.int_range(1, ideal.len() + 1) + 1).log(2)).sum()
    return Metric(f"ndcg@{k}", gain / best, "rate", "higher")


def recall(k: int) -> Metric:
    """The share of the golds within the first k."""
    return Metric(f"recall@{k}", (pl.col("rank") <= k).mean(), "rate", "higher")


def standard(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    """Metrics of every pool: the paper's, and those of trec_eval."""
    of_cutoffs = (metric(k) for k in cutoffs for metric in (complete, ndcg, recall))
    return (MAX_AT_R, MAX_AT_R_NORM, MRR, ACC_AT_1, *of_cutoffs)


def _pull(golds: pl.Expr) -> pl.Expr:
    """The pivot's share of what outranks these golds, minus its share of the pool's unrelated documents."""
    of_pivot, everything = (pl.col(name).filter(golds).sum() for name in ("outranking_pivot", "outranking"))
    share = pl.col("unrelated_pivot").first() / pl.col("unrelated").first()
    return pl.when(everything > 0).then(of_pivot / everything - share)


PULL_X = Metric("pull(x)", _pull(~pl.col("is_pivot")), "share", "0")


def pull_pivot(pivot: str) -> Metric:
    """The same of the golds in the pivot."""
    return Metric(f"pull({pivot})", _pull(pl.col("is_pivot")), "share", "0")


def _inclination() -> pl.Expr:
    """The lean of the version that comes later, each version by its best gold."""
    of_pivot = pl.col("is_pivot")
    rank_pivot, rank_x = (pl.col("rank").filter(which) for which in (of_pivot, ~of_pivot))
    lean_pivot, lean_x = (
        pl.col("lean").filter(which).get(rank.arg_min(), null_on_oob=True)
        for which, rank in ((of_pivot, rank_pivot), (~of_pivot, rank_x))
    )
    both = rank_pivot.min().is_not_null() & rank_x.min().is_not_null()
    return (
        pl.when(~both)
        .then(pl.coalesce(lean_pivot, lean_x))
        .when(rank_pivot.min() > rank_x.min())
        .then(lean_pivot)
        .otherwise(lean_x)
    )


# ours: the net share of queries with more of the pivot above the later version than a neutral order with as many errors
INCLINATION = Metric("inclination", _inclination(), "share", "0")


def unrelated_first(pivot: str) -> tuple[Metric, ...]:
    """The first document is an unrelated one, in the pivot, in another language."""
    wrong, of_pivot = pl.col("relation") == "unrelated", pl.col("is_pivot")
    return tuple(
        Metric(
            f"unrelated_first({name})",
            (wrong & lang).filter(pl.col("position") == 1).first(),
            "rate",
            "lower",
            over="top",
        )
        for name, lang in ((pivot, of_pivot), ("x", ~of_pivot))
    )


def over_versions(value: pl.Expr) -> pl.Expr:
    """The mean over golds in other languages than the query's."""
    return value.filter(pl.col("other").is_not_null()).mean()


def _preference() -> pl.Expr:
    """1 where the query's language comes first, 0 where the other version does, a half for equal scores."""
    return pl.when("tied").then(0.5).otherwise((pl.col("own") < pl.col("other")).cast(pl.Float64))


LPR = Metric("lpr", over_versions(_preference()), "rate", "0.5")


def of_versions(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    """Metrics of golds in several languages. `tlr` is SHIFT's, `lpr` MLAIRE's."""
    found = (Metric(f"tlr@{k}", (pl.col("rank") <= k).filter(OTHER).mean(), "rate", "higher") for k in cutoffs)
    return (*found, LPR)


def quadrants() -> tuple[Metric, ...]:
    """MLAIRE's four ways of the first document: right or wrong meaning, in the query's or in another language."""
    right, same = pl.col("relation") != "unrelated", pl.col("doc_lang") == pl.col("query_lang")
    return tuple(
        Metric(
            f"quadrant({meaning_name},{lang_name})",
            (meaning & lang).filter(pl.col("position") == 1).first(),
            "rate",
            over="top",
        )
        for meaning_name, meaning in (("right", right), ("wrong", ~right))
        for lang_name, lang in (("query", same), ("other", ~same))
    )


def pivot_share(k: int, pivot: str) -> Metric:
    """The pivot's share of the first k, minus its share of the pool."""
    share = pl.col("is_pivot").filter(pl.col("position") <= k).mean()
    name = f"{'english' if pivot == ENGLISH else pivot}_share@{k}"
    return Metric(name, share - pl.col("pivot_in_pool").first(), "share", "0", over="top")


def pivot_in(name: str) -> str:
    """The pivot that the name of a metric says, English's code where it says none."""
    found = re.fullmatch(r"(?:pull|unrelated_first)\((.+)\)|(.+)_share@\d+", name)
    code = found and (found[1] or found[2])
    return ENGLISH if code in (None, "x", "english") else code


def language_gap(metric: Metric) -> Metric:
    """What the pivot's query gets more than its parallel X query: the paper's, where the pivot is English."""
    gap = pl.col(f"{metric.name}_pivot") - pl.col(metric.name)
    return Metric(f"language_gap({metric.name})", gap, metric.unit, "0", over="pair")


def mrc(k: int) -> Metric:
    """Spearman's correlation of the two queries' first k (2509.06195, there of whole rankings)."""
    return Metric(f"mrc@{k}", pl.col(f"list_rho@{k}"), "correlation", over="pair")
