"""share(p): pools of constant size whose unrelated documents turn from X to English: the dose-response curve."""

from collections.abc import Iterator, Sequence

from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.pool import N_BUCKETS, Pool
from clir_core.scenarios.scenario import Scenario

NAME = "share"


def _pools(languages: Sequence[str]) -> Iterator[Pool]:
    for lang in languages:
        if lang == ENGLISH:
            continue
        for tenths in range(N_BUCKETS):
            # English takes the buckets that X leaves: no group comes twice, so the size is the same for every p
            buckets = {ENGLISH: (0, tenths), lang: (tenths, N_BUCKETS)}
            yield Pool(NAME, lang, lang, buckets, (lang,), (lang,), tenths / 10)


SCENARIO = Scenario(
    NAME,
    title="pools with a growing share of unrelated English documents",
    legend="X and a share of unrelated English",
    pools=_pools,
    per_query="without the English versions of the query's golds, with the golds themselves",
    keeps_top=False,
)
