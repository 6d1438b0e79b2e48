"""What a number of questions can decide: how many exclude a loss, and how many changed answers they bear.

Asks the intervals themselves for their low end where gains and losses balance. A checkpoint that loses nothing is
measured above and below 0 alike, so what is "needed" here excludes the loss in about one run of two.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

import numpy as np

from clir_core.audit.result import MetricRow
from clir_core.measure.interval import LEVEL, Means, Tail, careful_unit
from clir_core.scenarios import mono
from clir_core.scenarios.metric import ACC_AT_1

MOST = 10**8  # questions; no corpus has more
EXACT = 1e-9  # 0.90 - 0.91 is a little more than 0.01 in floating point
CHANGED = 0.04  # of the answers: the example of the sentence
_SHARES = np.arange(201) / 1000


def questions_needed(means: Means, questions: int, margin: float) -> int:
    """Questions, with answers that change as these do, from which on a loss beyond the margin is excluded.

    `means` is of one column of paired differences of a rate, over `questions` in one or several languages. At most
    `MOST`.
    """
    per_question = means.n_M / questions
    square, unit = means.square_M, means.unit_M
    return _first(lambda n: bool(_would_exclude(n * per_question, square, unit, margin)[0]))


def foresight(rows: Iterable[MetricRow], margin: float) -> str:
    """What an audit of the base says of the questions of every later one, in a sentence."""
    asked = [row for row in rows if (row.scenario, row.metric) == (mono.NAME, ACC_AT_1.name) and row.n]
    if not asked:
        return ""
    n = round(sum(row.n for row in asked) / len(asked))
    groups = round(sum(row.clusters or row.n for row in asked) / len(asked))
    # how far languages change together is known after the training: two ends that it lies between
    apart, alike = (_changed_at_most(n, groups, languages, margin) for languages in (len(asked), 1))
    loss = f"{asked_in(n, groups)}, {len(asked)} languages: a mean monolingual loss of {margin:.3f} can"
    if not apart:
        bears = "not be excluded, however few answers change"
    else:
        bears = f" be excluded where no more than {_percent(apart)} of the answers change, each language by itself"
        bears += f", or {_percent(alike)} in all languages alike" if alike else ", and in no way if all change alike"
    return f"{loss}{bears}. {_sufficient(n / groups, len(asked), margin)}."


def excludes(low_M: np.ndarray, margin: float) -> np.ndarray:
    """Whether an interval from there on holds no loss beyond the margin, [M]."""
    return low_M >= -margin - EXACT


def asked_in(n: int, clusters: int | None) -> str:
    """'432 questions in 144 groups'."""
    questions = f"{n:,} question{'' if n == 1 else 's'}"
    return (
        f"{questions} in {clusters:,} group{'' if clusters == 1 else 's'}" if clusters and clusters < n else questions
    )


def rounded(n: int) -> str:
    """'2,400': two digits of it, never too few."""
    step = 10 ** max(0, len(str(n)) - 2)
    return f"{-(-n // step) * step:,}"


def _changed_at_most(n: int, groups: int, languages: int, margin: float) -> float:
    """The largest share of changed answers that still lets a loss be excluded; 0 where none does."""
    rows = np.full(len(_SHARES), float(n * languages))
    enough = _would_exclude(rows, _SHARES, _unit(rows, _SHARES, n / groups * languages), margin)
    return float(_SHARES[enough].max(initial=0))


def _sufficient(per_group: float, languages: int, margin: float) -> str:
    """How many questions are enough where languages change by themselves, or all alike."""
    least, most = (_needed(per_group, among, margin) for among in (languages, 1))
    if least >= MOST:
        return "No number of questions would do"
    alike = rounded(most) if most < MOST else "no number would do if all change alike"
    return f"{_percent(CHANGED)} changed answers need about {rounded(least)} questions, or {alike}"


def _needed(per_group: float, languages: int, margin: float) -> int:
    share = np.array([CHANGED])

    def enough(n: int) -> bool:
        rows = np.array([float(n * languages)])
        return bool(_would_exclude(rows, share, _unit(rows, share, per_group * languages), margin)[0])

    return _first(enough)


def _unit(rows_M: np.ndarray, share_M: np.ndarray, size: float) -> np.ndarray:
    """Of answers that change by themselves: as many clusters differ as answers change."""
    return careful_unit(rows_M * share_M, np.ones_like(rows_M), np.full_like(rows_M, max(1.0, size)))


def _would_exclude(rows_M: np.ndarray, square_M: np.ndarray, unit_M: np.ndarray, margin: float) -> np.ndarray:
    """Whether the interval of a measured difference of 0 ends above -margin; differences lie between -1 and 1."""
    total_M = rows_M + unit_M
    mean_M = -unit_M / total_M
    unseen_M = unit_M * (-1 - mean_M)
    square_M = rows_M * (square_M + unit_M * mean_M**2) + unseen_M**2
    cube_M = -rows_M * unit_M**2 * mean_M**3 + unseen_M**3
    low_M = Tail.of(mean_M, square_M, cube_M, total_M, unit_M).quantile((1 - LEVEL) / 2)
    return excludes(low_M, margin)


def _first(enough: Callable[[int], bool]) -> int:
    return bisect_left(range(1, MOST), True, key=enough) + 1


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
