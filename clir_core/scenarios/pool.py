"""A pool: what queries of one language are ranked against. A set of cells, a cell is a language and a hash bucket."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clir_core.scenarios.label import label

N_BUCKETS = 10
ALL = (0, N_BUCKETS)


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

    @property
    def label(self) -> str:
        """What files and pages call it."""
        return label(self.scenario, self.share)


def whole(scenario: str, query_lang: str, lang: str | None, languages: Sequence[str]) -> Pool:
    """All documents of these languages, golds in all of them."""
    held = tuple(languages)
    return Pool(scenario, query_lang, lang, dict.fromkeys(held, ALL), held, held)


def bucket_of(group_id: str, seed: int) -> int:
    """The hash bucket of a group, 0 to 9: translations share it, and it never depends on the corpus around it."""
    digest = hashlib.sha256(f"{seed}:{group_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % N_BUCKETS


def buckets_of(group_ids: Sequence[str], seed: int) -> np.ndarray:
    """bucket_of for many groups, int8 [groups]."""
    return np.fromiter((bucket_of(group, seed) for group in group_ids), np.int8, len(group_ids))
