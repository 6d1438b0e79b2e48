"""mono: every language by itself, the paper's Mono-Same. What monolingual retrieval is worth, the pivot included."""

from collections.abc import Iterator, Sequence

from clir_core.scenarios.column import Column, of_own
from clir_core.scenarios.metric import ACC_AT_1
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "mono"


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    return (whole(NAME, lang, lang, (lang,)) for lang in languages)


def _columns(_: int, pivot: str) -> tuple[Column, ...]:
    return (of_own(NAME, ACC_AT_1),)


SCENARIO = Scenario(
    NAME,
    title="pools of the query's own language",
    legend="only X",
    pools=_pools,
    columns=_columns,
    heat_columns=_columns,
    can_gate=True,
    mteb_task="ClirMonoRetrieval",
)
