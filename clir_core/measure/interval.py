"""How far a mean could lie from what it is of, by the chance of which clusters of queries were asked.

The ends of an interval are Gaffke's bounds for the mean of bounded values (2005; Learned-Miller and Thomas 2020), which
for a rate are Clopper and Pearson's (1934). What is observed are clusters, and how much each tells is estimated from
them, as Korn and Graubard (1998) do for rates of surveys. No resampling, no seed, no normal curve: nothing is certain
because it was never seen to vary. docs/statistics.md says what it covers; tests/studies/intervals.py measures it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, gammaincinv

LEVEL = 0.95
# how many clusters' worth of doubt stays that one more cluster is hit as a whole: fewer cover too little at rare errors
_DOUBT = 2.0
# a query's own cluster is on average so many times as large as a cluster: then a few hold most of the queries
_LOPSIDED = 2.0
_STRAIGHT = 1e-3  # a skewness below this changes no digit, and its gamma would have millions of degrees of freedom


@dataclass(frozen=True)
class Tail:
    """Where a mean could lie, if what was not seen were at one end of the range: Pearson's type III curves, [M]."""

    mean_M: np.ndarray
    sd_M: np.ndarray
    skew_M: np.ndarray

    @staticmethod
    def of(
        mean_M: np.ndarray, square_M: np.ndarray, cube_M: np.ndarray, total_M: np.ndarray, unit_M: np.ndarray
    ) -> "Tail":
        """From sums of squared and of cubed errors about the mean, all weights, and what one observation weighs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            observed_M = total_M / unit_M
            sd_M = np.sqrt(square_M * observed_M / (observed_M + 1)) / total_M
            third_M = 2 * cube_M * observed_M**2 / ((observed_M + 1) * (observed_M + 2)) / total_M**3
            skew_M = np.where(sd_M > 0, third_M / sd_M**3, 0.0)
        return Tail(mean_M, sd_M, skew_M)

    def quantile(self, q: float) -> np.ndarray:
        """The value below which the mean lies with probability q, [M]."""
        shape_M, right_M = self._shape()
        gamma_M = gammaincinv(shape_M, np.where(right_M, q, 1 - q))
        z_M = (gamma_M - shape_M) / np.sqrt(shape_M)
        return self.mean_M + self.sd_M * np.where(right_M, z_M, -z_M)

    def below(self, at: np.ndarray | float) -> np.ndarray:
        """Probability that the mean lies at most there, [M]."""
        shape_M, right_M = self._shape()
        with np.errstate(invalid="ignore", divide="ignore"):
            z_M = np.nan_to_num((at - self.mean_M) / self.sd_M, nan=0.0, posinf=1e9, neginf=-1e9)
        gamma_M = np.maximum(0, shape_M + np.where(right_M, z_M, -z_M) * np.sqrt(shape_M))
        return np.where(right_M, gammainc(shape_M, gamma_M), gammaincc(shape_M, gamma_M))

    def _shape(self) -> tuple[np.ndarray, np.ndarray]:
        skew_M = np.where(np.abs(self.skew_M) < _STRAIGHT, _STRAIGHT, self.skew_M)
        return 4 / skew_M**2, skew_M > 0


@dataclass(frozen=True)
class Means:
    """Means of M columns, with what their intervals and tests need. Clusters and n count where a column is known."""

    mean_M: np.ndarray
    n_M: np.ndarray
    clusters_M: np.ndarray
    least_M: np.ndarray
    most_M: np.ndarray
    unit_M: np.ndarray  # how many queries one independent observation stands for
    square_M: np.ndarray  # what the mean's variance would be over one query, with what clusters add to it
    down: Tail
    up: Tail

    def interval(self, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """low_M and high_M of a two-sided interval."""
        outside = (1 - level) / 2
        low_M, high_M = self.down.quantile(outside), self.up.quantile(1 - outside)
        # the fit of a curve may pass the values that it is of by a hair
        return (
            np.clip(low_M, self.least_M, self.mean_M),
            np.clip(high_M, self.mean_M, self.most_M),
        )

    def p_above(self, at: np.ndarray | float) -> np.ndarray:
        """One-sided p [M] of the mean being at most this: small where it is shown to be above."""
        return np.where(self.mean_M > at, self.down.below(at), 1.0)

    def p_below(self, at: np.ndarray | float) -> np.ndarray:
        """One-sided p [M] of the mean being at least this: small where it is shown to be below."""
        return np.where(self.mean_M < at, 1 - self.up.below(at), 1.0)

    def p(self, at: np.ndarray | float) -> np.ndarray:
        """Two-sided p [M] of the mean being this: below 1 - level where the interval of that level leaves it out."""
        return np.minimum(1, 2 * np.minimum(self.p_above(at), self.p_below(at)))


def clustered_means(
    values_QM: np.ndarray,
    cluster_Q: np.ndarray,
    least_M: np.ndarray | float,
    most_M: np.ndarray | float,
    weight_Q: np.ndarray | None = None,
) -> Means:
    """Means of columns whose values lie between `least_M` and `most_M`, over queries that were sampled in clusters.

    NaN cells do not count; a column of nothing else has mean NaN. With weights, means are weighted.
    """
    clusters = _Clusters.of(values_QM, cluster_Q, np.ones(len(values_QM)) if weight_Q is None else weight_Q)
    n_columns = values_QM.shape[1]
    least, most = (np.broadcast_to(np.asarray(bound, np.float64), n_columns) for bound in (least_M, most_M))
    known = (clusters.mean_M, clusters.n_M, clusters.known_M, least, most, clusters.unit_M, clusters.square())
    return Means(*known, down=_tail(clusters, least), up=_tail(clusters, most))


@dataclass(frozen=True)
class _Clusters:
    """Sums of C clusters in M columns: of weighted values and of weights; and what one observation weighs."""

    sum_CM: np.ndarray
    weight_CM: np.ndarray
    mean_M: np.ndarray
    n_M: np.ndarray
    known_M: np.ndarray
    unit_M: np.ndarray

    def free(self) -> np.ndarray:
        """What squared errors of clusters grow by, as the mean was fitted to the same, [M]."""
        return self.known_M / np.maximum(1, self.known_M - 1)

    def square(self) -> np.ndarray:
        """Squared errors of the clusters, a query, [M]."""
        error_CM = self.sum_CM - self.mean_M * self.weight_CM
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.free() * (error_CM**2).sum(axis=0) / self.weight_CM.sum(axis=0)

    @staticmethod
    def of(values_QM: np.ndarray, cluster_Q: np.ndarray, weight_Q: np.ndarray) -> "_Clusters":
        order_Q = np.argsort(cluster_Q, kind="stable")
        sorted_Q = cluster_Q[order_Q]
        starts_C = np.flatnonzero(np.r_[True, sorted_Q[1:] != sorted_Q[:-1]])[: len(sorted_Q)]
        known_QM = ~np.isnan(values_QM[order_Q])
        weight_QM = known_QM * weight_Q[order_Q, None]
        value_QM = np.nan_to_num(values_QM[order_Q])
        parts = (weight_QM * value_QM, weight_QM, known_QM.astype(np.float64))
        sum_CM, weight_CM, known_CM = (np.add.reduceat(part, starts_C, axis=0) for part in parts)
        n_M, clusters_M, total_M = known_QM.sum(axis=0), (weight_CM > 0).sum(axis=0), weight_CM.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_M = sum_CM.sum(axis=0) / total_M
            alone_M = ((weight_QM * (value_QM - mean_M)) ** 2).sum(axis=0)
            unit_M = _unit(sum_CM - mean_M * weight_CM, alone_M, n_M / clusters_M)
            # where one cluster is most of the sample it makes the mean, and its own error is no evidence
            size_M = (known_CM**2).sum(axis=0) / n_M
            unit_M = np.where(size_M > _LOPSIDED * n_M / clusters_M, size_M, unit_M) * total_M / n_M
        return _Clusters(sum_CM, weight_CM, mean_M, n_M, clusters_M, unit_M)


def _unit(error_CM: np.ndarray, alone_M: np.ndarray, size_M: np.ndarray) -> np.ndarray:
    """How many queries one independent observation stands for, [M]: the design effect, 1 to a whole cluster.

    Where few clusters differ from the mean, little is known of it, and a whole cluster is the careful guess.
    """
    square_M, fourth_M = (error_CM**2).sum(axis=0), (error_CM**4).sum(axis=0)
    varies_M = (fourth_M > 0) & (alone_M > 0)
    effect_M = np.divide(square_M, alone_M, out=size_M.copy(), where=varies_M)
    telling_M = np.divide(square_M**2, fourth_M, out=np.zeros_like(size_M), where=varies_M)
    return careful_unit(telling_M, np.clip(effect_M, 1, np.maximum(1, size_M)), size_M)


def careful_unit(telling_M: np.ndarray, effect_M: np.ndarray, size_M: np.ndarray) -> np.ndarray:
    """Between the design effect that so many telling clusters show and the whole cluster, [M]."""
    return (telling_M * effect_M + _DOUBT * size_M) / (telling_M + _DOUBT)


def _tail(clusters: _Clusters, bound_M: np.ndarray) -> Tail:
    """The Dirichlet-weighted mean of the clusters and of one more observation at the bound, by three moments."""
    unit_M = clusters.unit_M
    with np.errstate(invalid="ignore", divide="ignore"):
        total_M = clusters.weight_CM.sum(axis=0) + unit_M
        mean_M = (clusters.sum_CM.sum(axis=0) + unit_M * bound_M) / total_M
        error_CM = clusters.sum_CM - mean_M * clusters.weight_CM
        unseen_M = unit_M * (bound_M - mean_M)
        square_M = clusters.free() * (error_CM**2).sum(axis=0) + unseen_M**2
        cube_M = clusters.free() ** 1.5 * (error_CM**3).sum(axis=0) + unseen_M**3
    return Tail.of(mean_M, square_M, cube_M, total_M, unit_M)
