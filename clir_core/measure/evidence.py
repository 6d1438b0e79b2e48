"""What the differences of two audits show to a gate: losses beyond what it allows, the gain, the cost on average."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from clir_core.audit.holm import LEVEL, holm
from clir_core.corpus.pivot import pivot_first
from clir_core.measure.compare import Comparison, Difference
from clir_core.measure.interval import Means
from clir_core.measure.power import EXACT, MOST, excludes, questions_needed
from clir_core.spec import Spec


class Average(Spec):
    """The mean difference of one metric over several pools, each counting the same; their clusters are shared."""

    scenario: str
    metric: str
    languages: tuple[str, ...] = Field(description="That the mean is over")
    difference: float
    low: float = Field(description="Of the 95 % interval, over clusters of queries")
    high: float
    p: float = Field(description="Two-sided, of no difference; the interval's own")
    n: int = Field(description="Questions in a pool, on average")
    clusters: int = Field(description="Clusters that the questions of all pools were sampled in")


@dataclass(frozen=True)
class Evidence:
    """`lost` and `gained` are the rows where that is shown, after Holm; the others are averages over languages."""

    lost: tuple[Difference, ...]
    gained: tuple[Difference, ...]
    gain: Average
    cost: tuple[Average, ...]
    is_better: bool  # on average, beyond chance
    is_cheap: bool  # a monolingual loss beyond the margin is excluded, on average
    needed: int | None  # questions that would exclude it, where that takes more
    pivot: str


def loss_p(means: Means, sign: int, allowed: float) -> np.ndarray:
    """One-sided p [M] of a loss of at most `allowed`. `sign` is 1 where higher is better, else -1."""
    beyond = allowed + EXACT
    return means.p_below(-beyond) if sign > 0 else means.p_above(beyond)


def gather(
    comparison: Comparison, primary: Sequence[Difference], mono: Sequence[Difference], sign: int, margin: float
) -> Evidence:
    """All that a gate decides by: its primary rows, in which `sign` says what is better, and the monolingual ones."""
    gain, _ = _average(comparison, primary)
    # the average is one more chance to find a gain
    _, *gain_p = holm([gain.p, *(row.p for row in primary)])
    moved = [row for row, p in zip(primary, gain_p, strict=True) if p < LEVEL]
    by_metric = [[row for row in mono if row.metric == metric] for metric in dict.fromkeys(row.metric for row in mono)]
    costs = [_average(comparison, rows) for rows in by_metric]
    is_cheap = all(excludes(np.array([cost.low]), margin).all() for cost, _ in costs)
    return Evidence(
        lost=_lost(comparison, primary, mono, sign, margin),
        gained=tuple(row for row in moved if sign * row.difference > 0),
        gain=gain,
        cost=tuple(cost for cost, _ in costs),
        is_better=gain.p < LEVEL and sign * gain.difference > 0,
        is_cheap=is_cheap,
        needed=None if is_cheap else _needed(costs, margin),
        pivot=comparison.pivot,
    )


def _lost(
    comparison: Comparison, primary: Sequence[Difference], mono: Sequence[Difference], sign: int, margin: float
) -> tuple[Difference, ...]:
    tests = [(row, sign, margin if row.unit == "rate" else 0.0) for row in primary] + [(row, 1, margin) for row in mono]
    p = holm([float(loss_p(comparison.means([row]), way, allowed)[0]) for row, way, allowed in tests])
    # a gate on monolingual retrieval asks some twice
    return tuple(dict.fromkeys(row for (row, *_), corrected in zip(tests, p, strict=True) if corrected < LEVEL))


def _average(comparison: Comparison, rows: Sequence[Difference]) -> tuple[Average, Means]:
    means = comparison.means(rows)
    (low,), (high,), (p,) = (*means.interval(), means.p(0.0))
    average = Average(
        scenario=rows[0].scenario,
        metric=rows[0].metric,
        languages=pivot_first((str(row.lang) for row in rows), comparison.pivot),
        difference=float(means.mean_M[0]),
        low=float(low),
        high=float(high),
        p=float(p),
        n=round(int(means.n_M[0]) / len(rows)),
        clusters=int(means.clusters_M[0]),
    )
    return average, means


def _needed(costs: Sequence[tuple[Average, Means]], margin: float) -> int | None:
    """None where there are enough, and what was measured is the reason; or where no number would do."""
    needed = max(questions_needed(means, cost.n, margin) for cost, means in costs)
    return needed if max(cost.n for cost, _ in costs) < needed < MOST else None
