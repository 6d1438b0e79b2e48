"""cross: the query in one language, the whole pool in the other, both ways. The paper's Mono-Cross."""

from collections.abc import Iterator, Sequence

from clir_core.scenarios.column import Column, of_own, of_pivot
from clir_core.scenarios.metric import ACC_AT_1
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "cross"


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    for lang in languages:
        if lang != pivot:
            yield whole(NAME, lang, lang, (pivot,))
            yield whole(NAME, pivot, lang, (lang,))


def _columns(_: int, pivot: str) -> tuple[Column, ...]:
    return (of_own(NAME, ACC_AT_1, f"cross, X to {pivot}"),)


def _heat_columns(k: int, pivot: str) -> tuple[Column, ...]:
    return (*_columns(k, pivot), of_pivot(NAME, ACC_AT_1, f"cross, {pivot} to X", pivot))


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
