"""share(p): pools of constant size whose unrelated documents turn from X to the pivot: the dose-response curve."""

from collections.abc import Iterator, Sequence

from clir_core.scenarios.pool import N_BUCKETS, Pool
from clir_core.scenarios.scenario import Scenario

NAME = "share"


def _pools(languages: Sequence[str], pivot: str) -> Iterator[Pool]:
    for lang in languages:
        if lang == pivot:
            continue
        for tenths in range(N_BUCKETS):
            # the pivot takes the buckets that X leaves: no group comes twice, so the size is the same for every p
            buckets = {pivot: (0, tenths), lang: (tenths, N_BUCKETS)}
            yield Pool(NAME, lang, lang, buckets, (lang,), (lang,), tenths / 10)


SCENARIO = Scenario(
    NAME,
    title="pools with a growing share of unrelated {pivot} documents",
    legend="X and a share of unrelated {pivot}",
    pools=_pools,
    per_query="without the {pivot} versions of the query's golds, with the golds themselves",
    keeps_top=False,
)
