"""distractor: X and all English documents but those that answer the query. How often a stranger's English wins."""

from collections.abc import Iterator, Sequence

import polars as pl

from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.column import Column, of_own
from clir_core.scenarios.metric import INCLINATION, PULL_X, Metric, english_share, standard, unrelated_first
from clir_core.scenarios.pool import ALL, Pool
from clir_core.scenarios.scenario import Scenario

NAME = "distractor"
# the best gold: with several, a late one lies behind strangers of every language
INCLINATION_RATE = Metric("inclination_rate", pl.col(f"outranking_{ENGLISH}").min() > 0, "rate", "lower")
# what that rate would be without preference, with as many errors: a model that errs is outranked by somebody
NEUTRAL_RATE = Metric("inclination_rate(neutral)", pl.col("neutral_en").min(), "rate")


def _pools(languages: Sequence[str]) -> Iterator[Pool]:
    for lang in languages:
        if lang != ENGLISH:
            yield Pool(NAME, lang, lang, dict.fromkeys((ENGLISH, lang), ALL), (lang,), (lang,))


def _metrics(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    of_golds = (*standard(cutoffs), INCLINATION, INCLINATION_RATE, NEUTRAL_RATE, PULL_X)
    return (*of_golds, *unrelated_first(), *map(english_share, cutoffs))


def _columns(_: int) -> tuple[Column, ...]:
    return tuple(of_own(NAME, metric) for metric in (INCLINATION_RATE, NEUTRAL_RATE))


SCENARIO = Scenario(
    NAME,
    title="pools with unrelated English documents",
    legend="X and unrelated English",
    pools=_pools,
    metrics=_metrics,
    columns=_columns,
    heat_columns=_columns,
    can_gate=True,
    per_query="without the English versions of the query's golds",
)
