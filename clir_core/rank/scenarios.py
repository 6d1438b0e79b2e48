"""Scenarios: which pools an audit ranks golds in. A pool is a set of cells, a cell is a language and a hash bucket."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from clir_core.corpus.tables import ENGLISH
from clir_core.spec import Spec

ScenarioName = Literal["mono", "cross", "multi", "distractor", "share", "nway"]
SCENARIOS: tuple[ScenarioName, ...] = get_args(ScenarioName)
N_BUCKETS = 10
ALL = (0, N_BUCKETS)


class PoolInfo(Spec):
    """One pool of the result. Where `per_query` is set, each query's pool differs from these documents as it says."""

    scenario: str
    query_lang: str
    lang: str | None
    languages: tuple[str, ...]
    sizes: dict[str, int]
    share: float | None
    seed: int
    documents_sha256: str
    per_query: str | None


@dataclass(frozen=True)
class Pool:
    """One scenario for one query language. `buckets` says which hash buckets of each language are in: first, end."""

    scenario: str
    query_lang: str
    lang: str | None
    buckets: dict[str, tuple[int, int]]
    gold_langs: tuple[str, ...]
    # languages whose related documents (golds and their translations) stay in whatever their bucket; all others are out
    related_langs: tuple[str, ...]
    share: float | None = None

    @property
    def needs_all_versions(self) -> bool:
        """Whether a query counts only where every relevant group has a version in every gold language."""
        return len(self.gold_langs) > 1

    @property
    def languages(self) -> tuple[str, ...]:
        """The pool's languages, in the order of the audit."""
        return tuple(self.buckets)


def bucket_of(group_id: str, seed: int) -> int:
    """The hash bucket of a group, 0 to 9: translations share it, and it never depends on the corpus around it."""
    digest = hashlib.sha256(f"{seed}:{group_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % N_BUCKETS


def buckets_of(group_ids: Sequence[str], seed: int) -> np.ndarray:
    """bucket_of for many groups, int8."""
    return np.fromiter((bucket_of(group, seed) for group in group_ids), np.int8, len(group_ids))


def pools(names: Sequence[ScenarioName], languages: Sequence[str]) -> tuple[Pool, ...]:
    """Every pool that the scenarios ask for; languages with English first."""
    others = [lang for lang in languages if lang != ENGLISH]
    found: list[Pool] = []
    for name in names:
        if name == "nway":
            found += [
                Pool("nway", lang, None, dict.fromkeys(languages, ALL), tuple(languages), tuple(languages))
                for lang in languages
            ]
            continue
        if name == "mono":
            found.append(_plain("mono", ENGLISH, ENGLISH, (ENGLISH,)))
        found += [pool for lang in others for pool in _pair(name, lang)]
    return tuple(found)


def _pair(name: ScenarioName, lang: str) -> Iterator[Pool]:
    """The pools of one scenario for English and the language X."""
    both = (ENGLISH, lang)
    if name == "mono":
        yield _plain("mono", lang, lang, (lang,))
    elif name == "cross":
        yield _plain("cross", lang, lang, (ENGLISH,))
        yield _plain("cross", ENGLISH, lang, (lang,))
    elif name == "multi":
        yield _plain("multi", lang, lang, both)
        yield _plain("multi", ENGLISH, lang, both)
    elif name == "distractor":
        yield Pool("distractor", lang, lang, dict.fromkeys(both, ALL), (lang,), (lang,))
    elif name == "share":
        for tenths in range(N_BUCKETS):
            # English takes the buckets that X leaves: no group comes twice, so the size is the same for every p
            buckets = {ENGLISH: (0, tenths), lang: (tenths, N_BUCKETS)}
            yield Pool(f"share({tenths / 10:.1f})", lang, lang, buckets, (lang,), (lang,), tenths / 10)


def _plain(scenario: str, query_lang: str, lang: str, languages: tuple[str, ...]) -> Pool:
    return Pool(scenario, query_lang, lang, dict.fromkeys(languages, ALL), languages, languages)
