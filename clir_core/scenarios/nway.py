"""nway: all languages in one pool, the golds in each, asked in each. As in LAReQA and MLAIRE."""

from collections.abc import Iterator, Sequence

from clir_core.scenarios.metric import Metric, of_versions, pivot_share, quadrants, standard
from clir_core.scenarios.pool import Pool, whole
from clir_core.scenarios.scenario import Scenario

NAME = "nway"


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    return (whole(NAME, lang, None, languages) for lang in languages)


def _metrics(cutoffs: Sequence[int], pivot: str) -> tuple[Metric, ...]:
    shares = (pivot_share(k, pivot) for k in cutoffs)
    return (*standard(cutoffs), *of_versions(cutoffs), *quadrants(), *shares)


SCENARIO = Scenario(NAME, title="pools of all languages", legend="all languages", pools=_pools, metrics=_metrics)
