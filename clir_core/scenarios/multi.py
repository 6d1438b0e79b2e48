"""multi: English and X in one pool, the golds in both, asked in either. The paper's Multi."""

from collections.abc import Iterator, Sequence

import polars as pl

from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.column import Column, of_english, of_own
from clir_core.scenarios.metric import (
    INCLINATION,
    LPR,
    PULL_EN,
    PULL_X,
    Metric,
    complete,
    english_share,
    language_gap,
    mrc,
    of_versions,
    over_versions,
    quadrants,
    standard,
    unrelated_first,
)
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "multi"
X, EN, GAP = "multi, X query", "multi, en query", "multi, en minus X query"
# 2408.10536
RANK_DISTANCE = Metric("rank_distance", over_versions((pl.col("own") - pl.col("other")).abs()), "ranks", "lower")


def _pools(languages: Sequence[str]) -> Iterator[Pool]:
    for lang in languages:
        if lang != ENGLISH:
            yield whole(NAME, lang, lang, (ENGLISH, lang))
            yield whole(NAME, ENGLISH, lang, (ENGLISH, lang))


def _metrics(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    in_every_pool = standard(cutoffs)
    of_golds = (*in_every_pool, INCLINATION, PULL_X, RANK_DISTANCE, PULL_EN, *of_versions(cutoffs))
    of_top = (*quadrants(), *unrelated_first(), *map(english_share, cutoffs))
    return (*of_golds, *of_top, *map(language_gap, in_every_pool), *map(mrc, cutoffs))


def _columns(k: int) -> tuple[Column, ...]:
    of_x = (of_own(NAME, metric, X) for metric in (complete(k), INCLINATION, PULL_X, PULL_EN))
    return (*of_x, *(of_english(NAME, metric, EN) for metric in (complete(k), INCLINATION)))


def _heat_columns(k: int) -> tuple[Column, ...]:
    gap = language_gap(complete(k))
    return (
        of_own(NAME, complete(k), X),
        of_english(NAME, complete(k), EN),
        Column(GAP, NAME, None, gap.name, gap.better),
        *(of_own(NAME, metric, X) for metric in (INCLINATION, PULL_X, PULL_EN, english_share(k), LPR)),
        *(of_english(NAME, metric, EN) for metric in (INCLINATION, english_share(k), LPR)),
    )


SCENARIO = Scenario(
    NAME,
    title="pools of English and another language",
    legend="English and X with the gold in both",
    pools=_pools,
    metrics=_metrics,
    columns=_columns,
    heat_columns=_heat_columns,
    two_sided=True,
    can_gate=True,
)
