"""distractor: X and all the pivot's documents but those that answer the query. How often a stranger's pivot wins."""

from collections.abc import Iterator, Sequence

import polars as pl

from clir_core.scenarios.column import Column, of_own
from clir_core.scenarios.metric import INCLINATION, PULL_X, Metric, pivot_share, standard, unrelated_first
from clir_core.scenarios.pool import ALL, Pool
from clir_core.scenarios.scenario import Scenario

NAME = "distractor"
# the best gold: with several, a late one lies behind strangers of every language
INCLINATION_RATE = Metric("inclination_rate", pl.col("outranking_pivot").min() > 0, "rate", "lower")
# what that rate would be without preference, with as many errors: a model that errs is outranked by somebody
NEUTRAL_RATE = Metric("inclination_rate(neutral)", pl.col("neutral_pivot").min(), "rate")


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    for lang in languages:
        if lang != pivot:
            yield Pool(NAME, lang, lang, dict.fromkeys((pivot, lang), ALL), (lang,), (lang,))


def _metrics(cutoffs: Sequence[int], pivot: str) -> tuple[Metric, ...]:
    of_golds = (*standard(cutoffs), INCLINATION, INCLINATION_RATE, NEUTRAL_RATE, PULL_X)
    return (*of_golds, *unrelated_first(pivot), *(pivot_share(k, pivot) for k in cutoffs))


def _columns(_: int, pivot: str) -> tuple[Column, ...]:
    return tuple(of_own(NAME, metric) for metric in (INCLINATION_RATE, NEUTRAL_RATE))


SCENARIO = Scenario(
    NAME,
    title="pools with unrelated {pivot} documents",
    legend="X and unrelated {pivot}",
    pools=_pools,
    metrics=_metrics,
    columns=_columns,
    heat_columns=_columns,
    can_gate=True,
    per_query="without the {pivot} versions of the query's golds",
)
