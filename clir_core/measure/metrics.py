"""The metrics of an audit, query by query: one row a query and pool here, means over queries in `stats`.

Which metrics a pool has, and what each is, its scenario says.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import polars as pl

from clir_core.corpus.pivot import ENGLISH
from clir_core.measure.neutral import beside_neutral
from clir_core.scenarios import every_scenario, scenario_named
from clir_core.scenarios.label import name_in, with_share
from clir_core.scenarios.metric import OTHER, Better, Metric, pivot_in

POOL = ("scenario", "query_lang", "lang")
QUERY = (*POOL, "query_id")
# of a row: which queries were sampled together with it, how many documents its query was ranked against, and the
# pivot's share of the unrelated ones
SAMPLED = {"cluster": pl.Int32, "pool_size": pl.Int32, "pivot_share": pl.Float64}
# what that share is called in queries.parquet where the pivot is English
ENGLISH_SHARE = "english"
_OF_PIVOT = ("outranking", "unrelated", "pool")


def per_query(
    ranks: pl.DataFrame, top: pl.DataFrame, queries: pl.DataFrame, cutoffs: Sequence[int], pivot: str = ENGLISH
) -> pl.DataFrame:
    """One row a query and pool, one column a metric. `query_lang` is null where X's query is held against the pivot's.

    ranks and top are of `pools`; queries has query_id, group_id, which parallel queries share, and cluster.
    """
    return pl.concat(metric_parts(ranks, top, queries, cutoffs, pivot))


def metric_parts(
    ranks: pl.DataFrame, top: pl.DataFrame, queries: pl.DataFrame, cutoffs: Sequence[int], pivot: str = ENGLISH
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The two parts of `per_query`: queries by themselves, and those held against the pivot's."""
    of_pivot = {f"{what}_{pivot}": f"{what}_pivot" for what in _OF_PIVOT}
    ranks = with_share(ranks).rename(of_pivot, strict=False)
    ranks = ranks.with_columns(
        outranking=pl.sum_horizontal(pl.col(r"^outranking_.*$")),
        pivot_share=pl.when(pl.col("unrelated") > 0).then(pl.col("unrelated_pivot") / pl.col("unrelated")),
        is_pivot=pl.col("gold_lang") == pivot,
    )
    top = top.with_columns(is_pivot=pl.col("doc_lang") == pivot)
    ranks = ranks.join(queries.select("query_id", "cluster"), on="query_id", how="left", maintain_order="left")
    keys = dict.fromkeys(QUERY, pl.String) | {"share": pl.Float64} | SAMPLED
    empty = pl.DataFrame(schema=keys | dict.fromkeys(units(cutoffs, pivot), pl.Float64))
    single, paired = [empty], [empty]
    for name, labels in _labels(ranks).items():
        of_scenario = pl.col("scenario").is_in(labels)
        metrics = scenario_named(name).metrics(cutoffs, pivot)
        rows, lists = ranks.filter(of_scenario), top.filter(of_scenario)
        table = _single(rows, lists, metrics)
        single.append(table)
        if wanted := [metric for metric in metrics if metric.over == "pair"]:
            pairs = queries.select("query_id", pair="group_id")
            paired.append(_paired(table, lists, pairs, wanted, cutoffs, pivot))
    return pl.concat(single, how="diagonal_relaxed"), pl.concat(paired, how="diagonal_relaxed")


def catalogue(cutoffs: Sequence[int], pivot: str = ENGLISH) -> dict[str, Metric]:
    """Every metric of every scenario by its name, in the order of the result."""
    return in_one_order(scenario.metrics(cutoffs, pivot) for scenario in every_scenario())


@lru_cache(maxsize=256)
def metric_named(name: str) -> Metric | None:
    """The metric of this name, at whatever cutoff and beside any pivot; None where no scenario has one."""
    k = re.search(r"@(\d+)", name)
    return catalogue((int(k[1]) if k else 1,), pivot_in(name)).get(name)


def metric_better(name: str) -> Better | None:
    """Whether more of this metric is better, or less, or which value is."""
    found = metric_named(name)
    return found.better if found else None


def units(cutoffs: Sequence[int], pivot: str = ENGLISH) -> dict[str, str]:
    """The unit of every metric, in the order of the result."""
    return {name: metric.unit for name, metric in catalogue(cutoffs, pivot).items()}


def in_one_order(lists: Iterable[Sequence[Metric]]) -> dict[str, Metric]:
    """The metrics of all lists by name, in an order that agrees with each list's."""
    order: list[str] = []
    found: dict[str, Metric] = {}
    for metrics in lists:
        found |= {metric.name: metric for metric in metrics}
        at = len(order)
        for metric in reversed(metrics):
            if metric.name in order:
                at = order.index(metric.name)
            else:
                order.insert(at, metric.name)
    return {name: found[name] for name in order}


def _labels(ranks: pl.DataFrame) -> dict[str, list[str]]:
    """What the pools of each scenario are called, in the order of the ranks."""
    found: dict[str, list[str]] = {}
    for label, share in ranks.select("scenario", "share").unique(maintain_order=True).iter_rows():
        found.setdefault(name_in(label, share), []).append(label)
    return found


def _single(ranks: pl.DataFrame, top: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """The rows of one scenario, a row a query and pool."""
    of_golds, of_top = ([metric for metric in metrics if metric.over == over] for over in ("golds", "top"))
    rows = _beside_own(ranks, of_golds)
    if _asks(of_golds, "lean", "neutral_pivot"):
        rows = beside_neutral(rows)
    table = _aggregated(rows, [pl.col("share", *SAMPLED).first(), *_values(of_golds)])
    if not of_top:
        return table
    share = ranks.group_by(QUERY).agg(pivot_in_pool=(pl.col("pool_pivot") / pl.col("pool_size")).first())
    lists = top.join(share, on=QUERY, how="left", nulls_equal=True, maintain_order="left")
    return table.join(
        _aggregated(lists, _values(of_top)), on=QUERY, how="left", nulls_equal=True, maintain_order="left"
    )


def _values(metrics: Sequence[Metric]) -> list[pl.Expr]:
    return [metric.value.cast(pl.Float64).alias(metric.name) for metric in metrics]


def _aggregated(rows: pl.DataFrame, values: Sequence[pl.Expr]) -> pl.DataFrame:
    return rows.group_by(QUERY, maintain_order=True).agg(values)


def _asks(metrics: Sequence[Metric], *columns: str) -> bool:
    return any(set(columns) & set(metric.value.meta.root_names()) for metric in metrics)


def _beside_own(ranks: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """Each gold with `own`, `other` and `tied`, where a metric asks for them."""
    if not _asks(metrics, "own", "other"):
        return ranks
    own, own_score = (pl.col(name).filter(~OTHER).first().over(*QUERY, "group_id") for name in ("rank", "score"))
    return ranks.with_columns(own=own, other=pl.when(OTHER).then("rank"), tied=own_score == pl.col("score"))


def _paired(
    table: pl.DataFrame,
    top: pl.DataFrame,
    groups: pl.DataFrame,
    metrics: Sequence[Metric],
    cutoffs: Sequence[int],
    pivot: str,
) -> pl.DataFrame:
    """A scenario's rows once more, X's query against its parallel one in the pivot. `groups` are the queries' pairs."""
    rows, lists = table.join(groups, on="query_id", maintain_order="left"), top.join(groups, on="query_id")
    of_pivot, other = (rows.filter(side) for side in _sides(pivot))
    pairs = other.join(of_pivot, on=("scenario", "lang", "pair"), suffix="_pivot", maintain_order="left")
    for k in cutoffs:
        rho = _list_rho(lists, k, pivot)
        pairs = pairs.join(rho, on=("scenario", "lang", "query_id"), how="left", maintain_order="left")
    return pairs.select(*QUERY, "share", *SAMPLED, *_values(metrics)).with_columns(query_lang=pl.lit(None, pl.String))


def _sides(pivot: str) -> Iterator[pl.Expr]:
    yield pl.col("query_lang") == pivot
    yield pl.col("query_lang") != pivot


def _list_rho(lists: pl.DataFrame, k: int, pivot: str) -> pl.DataFrame:
    """Spearman's correlation of two top-k lists over the documents of either; one that a list lacks has rank k + 1."""
    pool, pair = ("scenario", "lang"), ("scenario", "lang", "pair")
    of_pivot, other = (lists.filter(side, pl.col("position") <= k) for side in _sides(pivot))
    # only pairs that both were asked
    pairs = other.select(*pair, "query_id").unique().join(of_pivot.select(pair).unique(), on=pair)
    columns = (*pair, "doc_id", "position")
    both = other.select(columns).join(
        of_pivot.select(columns), on=(*pair, "doc_id"), how="full", coalesce=True, suffix="_pivot"
    )
    both = both.with_columns(pl.col("position", "position_pivot").fill_null(k + 1))
    correlation = both.group_by(pair).agg(
        pl.when((pl.col("position") == pl.col("position_pivot")).all())
        .then(1.0)
        .otherwise(pl.corr("position", "position_pivot", method="spearman").fill_nan(None))
        .alias(f"list_rho@{k}")
    )
    return pairs.join(correlation, on=pair).select(*pool, "query_id", f"list_rho@{k}")
