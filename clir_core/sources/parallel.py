"""Whether texts with equal ids in two languages are translations, by what survives a translation.

Two things do: how long a text is beside others, and numbers and names in Latin letters. Of translations the partner
shares more of the rare ones than any other text; where there are none to share, lengths have to rise together. Both are
held against chance: the same texts, paired otherwise.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 8  # pairs: of less, chance can do as much
MOST = 300  # pairs that are looked at
_READ = 2000  # characters of a text
_WORDS = re.compile(r"\d+|[a-z]{3,}")
_LIKELY = 2.6  # standard deviations beyond chance, which does as much once in 200 times
_CHANCE = 0.003  # of so many partners being closest
_CLOSEST = 0.5  # share of the texts whose partner is closest
_RISING = 0.5  # rank correlation of lengths; lengths alone are asked for more
_RISING_ALONE = 0.6
_TELLING = 3  # texts that share a word with any of the other language's


class Evidence(NamedTuple):
    """Whether texts are taken as translations, and why, for a sentence."""

    is_parallel: bool
    why: str


def compare(texts: Sequence[str], others: Sequence[str]) -> Evidence:
    """What the texts say of pairs of two languages, in the order given. At most MOST are looked at, spread evenly."""
    if len(texts) < FEWEST:
        return Evidence(False, f"so few texts cannot tell: {FEWEST} are needed")
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), MOST)).astype(int))
    first, second = [texts[i] for i in chosen], [others[i] for i in chosen]
    rising = _rank_correlation(first, second)
    rising_z = rising * math.sqrt(len(chosen) - 1)
    shared = _shared_words(first, second)
    telling = np.flatnonzero(shared.max(axis=1) > 0)
    if len(telling) < _TELLING:
        why = f"lengths correlate by {rising:.2f}, and they share no words to tell by"
        return Evidence(rising >= _RISING_ALONE and rising_z >= _LIKELY, why)
    n_closest = float(sum(_is_closest(shared[i], int(i)) for i in telling))
    closest, words_z = n_closest / len(telling), _beyond_chance(shared)
    by_chance = _at_least(int(n_closest), len(telling), 1 / len(chosen))
    by_words = closest >= _CLOSEST and by_chance < _CHANCE and words_z >= _LIKELY
    by_length = rising >= _RISING and rising_z >= _LIKELY and words_z >= _LIKELY
    why = (
        f"by numbers and Latin words, {closest:.0%} of {len(telling)} texts are closest to their partner; lengths "
        f"correlate by {rising:.2f}"
    ).replace("%", " %", 1)
    return Evidence(by_words or by_length, why)


def _is_closest(row: np.ndarray, own: int) -> float:
    """1 where a text's partner shares most with it; where others share as much, the part that chance would give it."""
    return float(row[own] == row.max()) / int((row == row.max()).sum())


def _at_least(k: int, n: int, p: float) -> float:
    """How likely k or more of n are, each with p."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def _rank_correlation(texts: Sequence[str], others: Sequence[str]) -> float:
    one, other = (_ranks(np.array([len(text) for text in part])) for part in (texts, others))
    norm = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / norm if norm else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Centred ranks; equal values share theirs."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[at]
    return np.asarray(ranks - ranks.mean())


def _shared_words(texts: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """How much each text shares with each of the others [N, N]: of every shared word, the inverse of its frequency."""
    words, other_words = ([_words(text) for text in part] for part in (texts, others))
    frequency = Counter(word for part in (*words, *other_words) for word in part)
    where: dict[str, list[int]] = {}
    for i, part in enumerate(other_words):
        for word in part:
            where.setdefault(word, []).append(i)
    shared = np.zeros((len(texts), len(others)))
    for i, part in enumerate(words):
        for word in part:
            shared[i, where.get(word, [])] += 1 / frequency[word]
    return shared


def _words(text: str) -> set[str]:
    found = _WORDS.findall(unicodedata.normalize("NFKC", text[:_READ]).lower())
    # digits of every script are the same numbers
    return {str(int(word)) if word.isdecimal() else word for word in found}


def _beyond_chance(shared_NN: np.ndarray) -> float:
    """The diagonal's sum in standard deviations over all pairings of the rows with the columns."""
    n = len(shared_NN)
    centred = shared_NN - shared_NN.mean(0) - shared_NN.mean(1)[:, None] + shared_NN.mean()
    spread = math.sqrt(float((centred * centred).sum()) / (n - 1))
    return float(shared_NN.trace() - shared_NN.sum() / n) / spread if spread else 0.0
