"""How often the intervals of an audit hold the truth, and how wide they are: the tables of docs/statistics.md.

Simulated rates, mean ranks and paired differences whose truth is known, over clusters of queries; beside ours the
textbook's intervals and the bootstrap that was here first.
    python tests/studies/intervals.py [--repetitions 4000] [rates ranks differences]
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats
from tables import put, table

from clir_core.measure.interval import LEVEL, clustered_means

# with 1 minus the rate, an interval is the mirror image: tests/clir_core/measure/test_interval.py
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
FLIPS, LOSSES = (0.02, 0.04, 0.08, 0.3), (0.0, 0.02, 0.05)
POOL = 480
RESAMPLES = 1000
# repetitions at a time
PART = 500
OUTSIDE = (1 - LEVEL) / 2
Interval = tuple[np.ndarray, np.ndarray]


class Design(NamedTuple):
    """How queries were sampled: so many clusters, of one query or of 1 to 9, that are so much alike."""

    clusters: int
    most: int
    alike: float

    def __str__(self) -> str:
        if self.most == 1:
            return f"{self.clusters} single queries"
        return f"{self.clusters} clusters, {self.alike:g}"

    def cluster(self) -> np.ndarray:
        """The cluster of each place for a query, [Q]."""
        return np.repeat(np.arange(self.clusters), self.most)

    def gaps(self, random: np.random.Generator, repetitions: int) -> np.ndarray:
        """Which places hold no query, [Q, repetitions]."""
        size_CR = random.integers(1, self.most + 1, (self.clusters, repetitions))
        return (np.arange(self.most)[None, :, None] >= size_CR[:, None]).reshape(-1, repetitions)


SINGLE = [Design(clusters, 1, 1.0) for clusters in (30, 72, 240, 430)]
CLUSTERED = [Design(clusters, 9, alike) for clusters in (30, 72, 240) for alike in (0.0, 0.3, 0.6, 1.0)]


class Sums(NamedTuple):
    """What the textbook's intervals need, of every repetition R: sums and sizes of clusters C, and of all queries."""

    sum_CR: np.ndarray
    size_CR: np.ndarray
    n_R: np.ndarray
    mean_R: np.ndarray

    @staticmethod
    def of(values_QR: np.ndarray, design: Design) -> "Sums":
        parts_CPR = values_QR.reshape(design.clusters, design.most, -1)
        size_CR = (~np.isnan(parts_CPR)).sum(axis=1)
        sum_CR = np.nansum(parts_CPR, axis=1)
        n_R = size_CR.sum(axis=0)
        return Sums(sum_CR, size_CR, n_R, sum_CR.sum(axis=0) / n_R)

    def variance(self) -> np.ndarray:
        """Of the mean, over clusters, [R]."""
        error_CR = self.sum_CR - self.mean_R * self.size_CR
        clusters = len(error_CR)
        return clusters / (clusters - 1) * (error_CR**2).sum(axis=0) / self.n_R**2


def ours(values_QR: np.ndarray, design: Design, least: float, most: float) -> Interval:
    """The audit's."""
    return clustered_means(values_QR, design.cluster(), least, most).interval()


def by_query(sums: Sums) -> Interval:
    """The percentile bootstrap over queries, of a rate, with any number of resamples: their means are a binomial's."""
    low_R, high_R = (stats.binom.ppf(q, sums.n_R, sums.mean_R) / sums.n_R for q in (OUTSIDE, 1 - OUTSIDE))
    return low_R, high_R


def wilson(mean_R: np.ndarray, n_R: np.ndarray) -> Interval:
    z = stats.norm.ppf(1 - OUTSIDE)
    middle_R = (mean_R + z**2 / (2 * n_R)) / (1 + z**2 / n_R)
    wide_R = z / (1 + z**2 / n_R) * np.sqrt(mean_R * (1 - mean_R) / n_R + z**2 / (4 * n_R**2))
    return middle_R - wide_R, middle_R + wide_R


def clopper_pearson(mean_R: np.ndarray, n_R: np.ndarray) -> Interval:
    right_R = mean_R * n_R
    with np.errstate(invalid="ignore"):
        low_R, high_R = (
            stats.beta.ppf(OUTSIDE, right_R, n_R - right_R + 1),
            stats.beta.ppf(1 - OUTSIDE, right_R + 1, n_R - right_R),
        )
    return np.nan_to_num(low_R, nan=0.0), np.nan_to_num(high_R, nan=1.0)


def effective(sums: Sums) -> np.ndarray:
    """Korn and Graubard's number of independent queries, [R], with their correction for few clusters."""
    few_R = (stats.t.ppf(OUTSIDE, sums.n_R - 1) / stats.t.ppf(OUTSIDE, len(sums.sum_CR) - 1)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        n_R = sums.mean_R * (1 - sums.mean_R) / sums.variance() * few_R
    return np.where(np.isfinite(n_R), np.minimum(n_R, sums.n_R), sums.n_R)


def students(sums: Sums) -> Interval:
    """Student's t over clusters."""
    wide_R = stats.t.ppf(1 - OUTSIDE, len(sums.sum_CR) - 1) * np.sqrt(sums.variance())
    return sums.mean_R - wide_R, sums.mean_R + wide_R


def resampled(sum_UR: np.ndarray, size_UR: np.ndarray, random: np.random.Generator) -> Interval:
    """The percentile bootstrap over units U, queries or clusters."""
    units = len(sum_UR)
    times_BU = random.multinomial(units, np.full(units, 1 / units), RESAMPLES).astype(float)
    low_R, high_R = np.quantile(times_BU @ sum_UR / (times_BU @ size_UR), (OUTSIDE, 1 - OUTSIDE), axis=0)
    return low_R, high_R


class Seen:
    """How often each way's interval held the truth, and how wide it was."""

    def __init__(self) -> None:
        self._held: dict[str, list[np.ndarray]] = {}
        self._wide: dict[str, list[np.ndarray]] = {}

    def add(self, way: str, interval: Interval, truth: float) -> None:
        low_R, high_R = interval
        hair = 1e-12  # of rounding
        self._held.setdefault(way, []).append((low_R <= truth + hair) & (truth <= high_R + hair))
        self._wide.setdefault(way, []).append(high_R - low_R)

    def held(self, way: str) -> float:
        return float(np.concatenate(self._held[way]).mean())

    def cells(self, digits: int) -> Iterator[str]:
        """'.951 (.123)' of each way."""
        for way in self._held:
            wide = float(np.concatenate(self._wide[way]).mean())
            yield f"{short(self.held(way))} ({short(wide, digits)})"


def short(figure: float, digits: int = 3) -> str:
    return f"{figure:.{digits}f}".removeprefix("0") if 0 < figure < 1 else f"{figure:.{digits}f}"


def parts(repetitions: int) -> Iterator[int]:
    return (min(PART, repetitions - start) for start in range(0, repetitions, PART))


def rates_drawn(random: np.random.Generator, design: Design, rate: float, repetitions: int) -> np.ndarray:
    """Rights and wrongs, [Q, repetitions]: a cluster's own rate is a beta's, so that queries correlate as asked."""
    shape = (design.clusters, 1, repetitions)
    if design.most == 1 or design.alike == 0:
        own = np.full(shape, rate)
    elif design.alike == 1:
        own = (random.random(shape) < rate).astype(float)
    else:
        both = 1 / design.alike - 1
        own = random.beta(rate * both, (1 - rate) * both, shape)
    right = random.random((design.clusters, design.most, repetitions)) < own
    values_QR = right.reshape(-1, repetitions).astype(float)
    return np.where(design.gaps(random, repetitions), np.nan, values_QR)


def rates(repetitions: int) -> None:
    """Table of rates."""
    random = np.random.default_rng(11)
    ways = ("ours", "bootstrap by query", "Wilson, all queries", "Wilson, effective", "Clopper-Pearson, effective")
    rows, lines = [], []
    for design in (*SINGLE, *CLUSTERED):
        per_rate = []
        for rate in RATES:
            seen = Seen()
            for part in parts(repetitions):
                values_QR = rates_drawn(random, design, rate, part)
                sums = Sums.of(values_QR, design)
                seen.add("ours", ours(values_QR, design, 0, 1), rate)
                seen.add("bootstrap", by_query(sums), rate)
                seen.add("Wilson, all", wilson(sums.mean_R, sums.n_R), rate)
                seen.add("Wilson, effective", wilson(sums.mean_R, effective(sums)), rate)
                seen.add("Clopper", clopper_pearson(sums.mean_R, effective(sums)), rate)
            per_rate.append(short(seen.held("ours")))
            if design in (SINGLE[1], CLUSTERED[5], CLUSTERED[9]):
                rows.append([str(design), f"{rate:g}", *seen.cells(3)])
        lines.append([str(design), *per_rate])
        print(*lines[-1], flush=True)
    put("coverage of rates", table(["clusters, correlation", *(f"{rate:g}" for rate in RATES)], lines))
    put("other intervals of rates", table(["clusters, correlation", "rate", *ways], rows))


def _rare(share: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda u, random: np.where(u < share, random.integers(2, POOL + 1, u.shape), 1)


def _lognormal(mean: float, sd: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda u, random: np.clip(np.ceil(np.exp(random.normal(mean, sd, u.shape))), 1, POOL)


def _pareto(shape: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda u, random: np.clip(np.floor((1 - u) ** (-1 / shape)), 1, POOL)


def _geometric(share: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda u, random: np.where(
        u < share, random.integers(2, POOL + 1, u.shape), random.geometric(0.5, u.shape).clip(1, POOL)
    )


SHAPES = {
    "1, but .005 anywhere": _rare(0.005),
    "1, but .02 anywhere": _rare(0.02),
    "1, but .1 anywhere": _rare(0.1),
    "lognormal(0, 1.5)": _lognormal(0, 1.5),
    "lognormal(1, 2)": _lognormal(1, 2),
    "Pareto(1)": _pareto(1),
    "Pareto(.7)": _pareto(0.7),
    "geometric, but .005 anywhere": _geometric(0.005),
    "geometric, but .02 anywhere": _geometric(0.02),
}


def alike(values_QR: np.ndarray, design: Design, random: np.random.Generator) -> np.ndarray:
    """The same with queries that repeat their cluster's first one, so that they correlate as asked; and gaps."""
    parts_CPR = values_QR.reshape(design.clusters, design.most, -1)
    repeats = random.random(parts_CPR.shape) < design.alike**0.5
    repeated = np.where(repeats, parts_CPR[:, :1], parts_CPR).reshape(values_QR.shape)
    return np.where(design.gaps(random, values_QR.shape[1]), np.nan, repeated.astype(float))


def ranks(repetitions: int) -> None:
    """Table of mean ranks."""
    random = np.random.default_rng(12)
    designs = (SINGLE[1], Design(72, 9, 0.5), SINGLE[3], Design(240, 9, 0.5))
    rows = []
    for name, shape in SHAPES.items():
        truth = float(np.mean([shape(random.random(1_000_000), random).mean() for _ in range(20)]))
        for design in designs:
            seen = Seen()
            for part in parts(repetitions):
                drawn_QR = shape(random.random((design.clusters * design.most, part)), random)
                values_QR = alike(drawn_QR, design, random)
                sums, known_QR = Sums.of(values_QR, design), ~np.isnan(values_QR)
                seen.add("ours", ours(values_QR, design, 1, POOL), truth)
                seen.add("query", resampled(np.nan_to_num(values_QR), known_QR.astype(float), random), truth)
                seen.add("cluster", resampled(sums.sum_CR, sums.size_CR.astype(float), random), truth)
                seen.add("t", students(sums), truth)
            rows.append([name, f"{truth:.2f}", str(design), *seen.cells(2)])
            print(*rows[-1], flush=True)
    ways = ("ours", "bootstrap by query", "bootstrap by cluster", "Student's t by cluster")
    put("coverage of mean ranks", table(["ranks", "mean", "clusters, correlation", *ways], rows))


def differences(repetitions: int) -> None:
    """Tables of paired differences of rates: answers that flip, and more of them to the worse by the loss."""
    random = np.random.default_rng(13)
    designs = (Design(30, 9, 0.5), *SINGLE[1:2], Design(72, 9, 0.5), Design(72, 9, 1.0), SINGLE[3], Design(240, 9, 0.5))
    kinds = [(flip, loss) for flip in FLIPS for loss in LOSSES if loss <= flip]
    held, alarms = [], []
    for design in designs:
        cells, of_null = [], []
        for flip, loss in kinds:
            seen, tests = Seen(), []
            for part in parts(repetitions):
                u = random.random((design.clusters * design.most, part))
                flipped_QR = np.where(u < flip, np.where(u < (flip + loss) / 2, -1.0, 1.0), 0.0)
                values_QR = alike(flipped_QR, design, random)
                means = clustered_means(values_QR, design.cluster(), -1, 1)
                seen.add("ours", means.interval(), -loss)
                seen.add("t", students(Sums.of(values_QR, design)), -loss)
                tests.append(means.p(0.0) < 1 - LEVEL)
            cells.append(next(seen.cells(3)))
            if loss == 0:
                of_null.append(f"{short(float(np.concatenate(tests).mean()))} ({short(1 - seen.held('t'))})")
        held.append([str(design), *cells])
        alarms.append([str(design), *of_null])
        print(*held[-1], *of_null, flush=True)
    put("coverage of differences", table(["flips, loss", *(f"{flip:g}, {loss:g}" for flip, loss in kinds)], held))
    put("false alarms of differences", table(["flips", *(f"{flip:g}" for flip in FLIPS)], alarms))


STUDIES: dict[str, Callable[[int], None]] = {"rates": rates, "ranks": ranks, "differences": differences}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", default=list(STUDIES), help=", ".join(STUDIES))
    parser.add_argument("--repetitions", type=int, default=4000)
    asked = parser.parse_args()
    for name in asked.studies:
        STUDIES[name](asked.repetitions)


if __name__ == "__main__":
    main()
