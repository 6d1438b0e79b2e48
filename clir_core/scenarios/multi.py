"""multi: the pivot and X in one pool, the golds in both, asked in either. The paper's Multi."""

from collections.abc import Iterator, Sequence

import polars as pl

from clir_core.scenarios.column import Column, of_own, of_pivot
from clir_core.scenarios.metric import (
    INCLINATION,
    LPR,
    PULL_X,
    Metric,
    complete,
    language_gap,
    mrc,
    of_versions,
    over_versions,
    pivot_share,
    pull_pivot,
    quadrants,
    standard,
    unrelated_first,
)
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "multi"
X = "multi, X query"
# 2408.10536
RANK_DISTANCE = Metric("rank_distance", over_versions((pl.col("own") - pl.col("other")).abs()), "ranks", "lower")


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    for lang in languages:
        if lang != pivot:
            yield whole(NAME, lang, lang, (pivot, lang))
            yield whole(NAME, pivot, lang, (pivot, lang))


def _metrics(cutoffs: Sequence[int], pivot: str) -> tuple[Metric, ...]:
    in_every_pool = standard(cutoffs)
    of_golds = (*in_every_pool, INCLINATION, PULL_X, RANK_DISTANCE, pull_pivot(pivot), *of_versions(cutoffs))
    of_top = (*quadrants(), *unrelated_first(pivot), *(pivot_share(k, pivot) for k in cutoffs))
    return (*of_golds, *of_top, *map(language_gap, in_every_pool), *map(mrc, cutoffs))


def _columns(k: int, pivot: str) -> tuple[Column, ...]:
    of_x = (of_own(NAME, metric, X) for metric in (complete(k), INCLINATION, PULL_X, pull_pivot(pivot)))
    return (*of_x, *(_of_pivot(metric, pivot) for metric in (complete(k), INCLINATION)))


def _heat_columns(k: int, pivot: str) -> tuple[Column, ...]:
    gap, share = language_gap(complete(k)), pivot_share(k, pivot)
    return (
        of_own(NAME, complete(k), X),
        _of_pivot(complete(k), pivot),
        Column(f"multi, {pivot} minus X query", NAME, None, gap.name, gap.better),
        *(of_own(NAME, metric, X) for metric in (INCLINATION, PULL_X, pull_pivot(pivot), share, LPR)),
        *(_of_pivot(metric, pivot) for metric in (INCLINATION, share, LPR)),
    )


def _of_pivot(metric: Metric, pivot: str) -> Column:
    return of_pivot(NAME, metric, f"multi, {pivot} query", pivot)


SCENARIO = Scenario(
    NAME,
    title="pools of {pivot} and another language",
    legend="{pivot} and X with the gold in both",
    pools=_pools,
    metrics=_metrics,
    columns=_columns,
    heat_columns=_heat_columns,
    two_sided=True,
    can_gate=True,
)
