"""cross: the query in one language, the whole pool in the other, both ways. The paper's Mono-Cross."""

from collections.abc import Iterator, Sequence

from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.column import Column, of_english, of_own
from clir_core.scenarios.metric import ACC_AT_1
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "cross"


def _pools(languages: Sequence[str]) -> Iterator[Pool]:
    for lang in languages:
        if lang != ENGLISH:
            yield whole(NAME, lang, lang, (ENGLISH,))
            yield whole(NAME, ENGLISH, lang, (lang,))


def _columns(_: int) -> tuple[Column, ...]:
    return (of_own(NAME, ACC_AT_1, "cross, X to en"),)


def _heat_columns(k: int) -> tuple[Column, ...]:
    return (*_columns(k), of_english(NAME, ACC_AT_1, "cross, en to X"))


SCENARIO = Scenario(
    NAME,
    title="pools of the other language",
    legend="only the other language",
    pools=_pools,
    columns=_columns,
    heat_columns=_heat_columns,
    two_sided=True,
    can_gate=True,
    mteb_task="ClirCrossRetrieval",
)
