"""nway: all languages in one pool, the golds in each, asked in each. As in LAReQA and MLAIRE."""

from collections.abc import Iterator, Sequence

from clir_core.scenarios.metric import Metric, english_share, of_versions, quadrants, standard
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "nway"


def _pools(languages: Sequence[str]) -> Iterator[Pool]:
    return (whole(NAME, lang, None, languages) for lang in languages)


def _metrics(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    return (*standard(cutoffs), *of_versions(cutoffs), *quadrants(), *map(english_share, cutoffs))


SCENARIO = Scenario(NAME, title="pools of all languages", legend="all languages", pools=_pools, metrics=_metrics)
