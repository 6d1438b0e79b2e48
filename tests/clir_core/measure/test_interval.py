"""Intervals against Clopper and Pearson's, against what must not change them, and by how often they hold the truth."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from clir_core.measure.interval import Means, clustered_means

Bounds = tuple[float, float]


def rates_of(right: int, n: int, size: int = 1) -> Means:
    """Means of n clusters of this size, of which so many are right as a whole."""
    values_Q = np.repeat(np.arange(n) < right, size).astype(float)
    return clustered_means(values_Q[:, None], np.repeat(np.arange(n), size), 0, 1)


def interval_of(values_Q: np.ndarray, cluster_Q: np.ndarray, least: float = 0, most: float = 1) -> Bounds:
    low_M, high_M = clustered_means(values_Q[:, None], cluster_Q, least, most).interval()
    return float(low_M[0]), float(high_M[0])


def clopper_pearson(right: int, n: int) -> Bounds:
    found = stats.binomtest(right, n).proportion_ci(method="exact")
    return found.low, found.high


@pytest.mark.parametrize("n", [1, 2, 3, 10, 30, 72, 240, 1190])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 0.9, 1.0])
def test_of_single_queries_a_rate_s_interval_is_clopper_and_pearson_s(n: int, share: float) -> None:
    right = round(share * n)
    low_M, high_M = rates_of(right, n).interval()
    # three moments of their beta distributions, which say less of them where hardly anything was seen
    near = 0.002 if n >= 72 else 0.005 if n >= 30 else 0.1
    assert (low_M[0], high_M[0]) == pytest.approx(clopper_pearson(right, n), abs=near)


@pytest.mark.parametrize("size", [2, 5, 17])
def test_queries_that_answer_as_one_count_as_one(size: int) -> None:
    single, clustered = (np.array(rates_of(20, 72, n).interval()) for n in (1, size))
    np.testing.assert_allclose(clustered, single, atol=1e-9)


def test_queries_of_a_cluster_that_have_nothing_to_do_with_one_another_count_alone() -> None:
    values_QR = np.random.default_rng(0).permuted(np.tile(np.arange(1200) < 360, (50, 1)), axis=1).T.astype(float)
    low_R, high_R = clustered_means(values_QR, np.arange(1200) // 5, 0, 1).interval()
    low, high = clopper_pearson(360, 1200)
    assert float((high_R - low_R).mean()) == pytest.approx(high - low, rel=0.03)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("clusters", [1, 6, 72])
def test_equal_values_are_never_a_point(value: float, clusters: int) -> None:
    low, high = interval_of(np.full(clusters * 3, value), np.repeat(np.arange(clusters), 3))
    assert low <= value <= high and high - low > 1 / (clusters + 3)


def test_one_cluster_says_next_to_nothing() -> None:
    low, high = interval_of(np.array([1.0, 1.0, 1.0, 1.0]), np.zeros(4, int))
    assert low < 0.03 and high == 1  # Clopper and Pearson's of one of one: 0.025 to 1
    low, high = interval_of(np.array([0.2]), np.array([7]), -1, 1)
    assert low < -0.9 and high > 0.9


def test_nothing_has_no_mean_and_no_interval() -> None:
    means = clustered_means(np.full((4, 1), np.nan), np.arange(4), 0, 1)
    assert (means.n_M[0], means.clusters_M[0]) == (0, 0) and np.isnan(means.mean_M[0])


def drawn(seed: int, columns: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Values from 0 to 1 with gaps, many of them at the ends, in clusters of 1 to 6."""
    random = np.random.default_rng(seed)
    cluster_Q = np.repeat(np.arange(40), random.integers(1, 7, 40))
    values_QM = np.clip(
        random.normal(0.4, 0.6, (len(cluster_Q), columns)) + random.normal(0, 0.3, 40)[cluster_Q][:, None], 0, 1
    )
    return np.where(random.random(values_QM.shape) < 0.2, np.nan, values_QM), cluster_Q


def figures(means: Means) -> np.ndarray:
    return np.array([means.mean_M, *means.interval(), means.p_above(0.45), means.p_below(0.45)])


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.01, 100))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_another_scale_is_another_scale_and_nothing_else(seed: int, shift: float, scale: float) -> None:
    values_QM, cluster_Q = drawn(seed)
    plain = figures(clustered_means(values_QM, cluster_Q, 0, 1))
    moved = clustered_means(shift + scale * values_QM, cluster_Q, shift, shift + scale)
    np.testing.assert_allclose(
        np.array([moved.mean_M, *moved.interval()]), shift + scale * plain[:3], atol=1e-6 * scale
    )
    np.testing.assert_allclose(moved.p_above(shift + scale * 0.45), plain[3], atol=1e-6)
    # turned round, what was above is below
    turned = figures(clustered_means(1 - values_QM, cluster_Q, 0, 1))
    np.testing.assert_allclose(turned[:3], 1 - plain[[0, 2, 1]], atol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_order_of_queries_and_the_names_of_clusters_change_nothing(seed: int) -> None:
    values_QM, cluster_Q = drawn(seed)
    random = np.random.default_rng(seed + 1)
    order_Q, names = random.permutation(len(cluster_Q)), random.permutation(1000)
    plain, other = (
        figures(clustered_means(*given_, 0, 1))
        for given_ in ((values_QM, cluster_Q), (values_QM[order_Q], names[cluster_Q][order_Q]))
    )
    np.testing.assert_allclose(other, plain, rtol=1e-9, atol=1e-12)


def test_a_column_has_its_figures_whatever_stands_beside_it_and_gaps_do_not_count() -> None:
    values_QM, cluster_Q = drawn(3)
    together = figures(clustered_means(values_QM, cluster_Q, 0, 1))
    for m in range(values_QM.shape[1]):
        known_Q = ~np.isnan(values_QM[:, m])
        alone = clustered_means(values_QM[known_Q, m : m + 1], cluster_Q[known_Q], 0, 1)
        np.testing.assert_allclose(figures(alone)[:, 0], together[:, m], rtol=1e-9)
        assert (alone.n_M[0], alone.clusters_M[0]) == (known_Q.sum(), len(set(cluster_Q[known_Q])))


def test_every_column_has_its_own_range() -> None:
    values_QM, cluster_Q = drawn(4, 2)
    both = clustered_means(values_QM * [1, 480], cluster_Q, np.array([0, 0]), np.array([1, 480]))
    alone = [clustered_means(values_QM[:, [m]], cluster_Q, 0, 1).interval() for m in range(2)]
    np.testing.assert_allclose(np.array(both.interval()), np.hstack(alone) * [1, 480], rtol=1e-6)


def test_weights_are_how_much_a_query_counts() -> None:
    values_QM, cluster_Q = drawn(5)
    weight_Q = np.random.default_rng(5).uniform(0.5, 2, len(cluster_Q))
    means = clustered_means(values_QM, cluster_Q, 0, 1, weight_Q)
    masked = np.ma.masked_invalid(values_QM)
    np.testing.assert_allclose(means.mean_M, np.ma.average(masked, axis=0, weights=weight_Q), rtol=1e-9)
    # their scale says nothing
    again = clustered_means(values_QM, cluster_Q, 0, 1, 7 * weight_Q)
    np.testing.assert_allclose(figures(again), figures(means), rtol=1e-9)
    equal = clustered_means(values_QM, cluster_Q, 0, 1, np.ones(len(cluster_Q)))
    np.testing.assert_allclose(figures(equal), figures(clustered_means(values_QM, cluster_Q, 0, 1)), rtol=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_p_is_the_level_at_which_the_interval_ends(seed: int, level: float) -> None:
    means = clustered_means(*drawn(seed), 0, 1)
    for end_M in means.interval(level):
        inside_M = (end_M > 0) & (end_M < 1)
        np.testing.assert_allclose(means.p(end_M)[inside_M], 1 - level, rtol=1e-4)


def test_p_is_one_sided_by_name() -> None:
    means = rates_of(60, 72)
    low_M, _ = means.interval(0.9)
    assert means.p_above(low_M)[0] == pytest.approx(0.05, rel=1e-3)
    assert means.p_above(0.95)[0] == 1 == means.p_below(0.5)[0]
    # exact: P(60 or more of 72 | .7), P(60 or fewer | .95)
    assert means.p_above(0.7)[0] == pytest.approx(stats.binom.sf(59, 72, 0.7), abs=0.002)
    assert means.p_below(0.95)[0] == pytest.approx(stats.binom.cdf(60, 72, 0.95), abs=0.002)


def test_a_wider_level_is_a_wider_interval() -> None:
    means = rates_of(5, 72)
    lows, highs = np.hstack([np.array(means.interval(level)) for level in (0.5, 0.8, 0.95, 0.99)])
    assert (np.diff(lows) < 0).all() and (np.diff(highs) > 0).all()


# --- how often they hold the truth: tests/studies/intervals.py in small -----------------------------------------------


def held(values_QR: np.ndarray, size: int, truth: float, least: float = 0, most: float = 1) -> float:
    """How many of the repetitions' intervals hold the truth."""
    means = clustered_means(values_QR, np.arange(len(values_QR)) // size, least, most)
    low_R, high_R = means.interval()
    return float(((low_R <= truth + 1e-12) & (truth <= high_R + 1e-12)).mean())


def at_least(share: float, repetitions: int) -> float:
    """Below which a count of that share comes once in 10,000 times."""
    return float(stats.binom.ppf(1e-4, repetitions, share)) / repetitions


def beta_rates(clusters: int, size: int, rate: float, alike: float, repetitions: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    own_CR = random.beta(rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1), (clusters, repetitions))
    return (random.random((clusters * size, repetitions)) < np.repeat(own_CR, size, axis=0)).astype(float)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.95])
def test_rates_are_held_over_clusters(rate: float) -> None:
    assert held(beta_rates(72, 5, rate, 0.3, 500, 1), 5, rate) >= at_least(0.95, 500)


def test_mean_ranks_with_a_rare_catastrophe_are_held() -> None:
    random = np.random.default_rng(2)
    ranks_QR = np.where(random.random((72, 500)) < 0.02, random.integers(2, 481, (72, 500)), 1).astype(float)
    assert held(ranks_QR, 1, 1 + 0.02 * 240, 1, 480) >= at_least(0.95, 500)


def test_flips_that_cancel_out_raise_no_alarm_too_often() -> None:
    random = np.random.default_rng(3)
    flipped_CR = random.choice([-1.0, 0.0, 1.0], (72, 500), p=[0.15, 0.7, 0.15])
    means = clustered_means(np.repeat(flipped_CR, 5, axis=0), np.arange(360) // 5, -1, 1)
    assert (means.p(0.0) < 0.05).mean() <= 1 - at_least(0.95, 500)


def rare(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.where(random.random(shape) < 0.005, random.integers(2, 481, shape), 1).astype(float)


def lognormal(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.clip(np.ceil(np.exp(random.normal(0, 1.5, shape))), 1, 480)


def pareto(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.clip(np.floor((1 - random.random(shape)) ** -1.0), 1, 480)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [30, 72, 240])
@pytest.mark.parametrize("alike", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("rate", [0.002, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.95, 0.998])
def test_rates_are_held_everywhere(clusters: int, alike: float, rate: float) -> None:
    found = held(beta_rates(clusters, 5, rate, alike, 3000, 4), 5, rate)
    assert found >= at_least(0.94, 3000)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [rare, lognormal, pareto])
@pytest.mark.parametrize("n", [72, 432])
def test_mean_ranks_are_held(shape: Callable[[np.random.Generator, tuple[int, int]], np.ndarray], n: int) -> None:
    random = np.random.default_rng(6)
    truth = float(np.mean([shape(random, (1000, 2000)).mean() for _ in range(10)]))
    assert held(shape(random, (n, 3000)), 1, truth, 1, 480) >= at_least(0.93, 3000)


def test_a_few_clusters_that_hold_most_queries_do_not_vouch_for_themselves() -> None:
    """A cluster that makes the mean has no error of its own: the interval would be that of the small ones alone."""
    rng, hit = np.random.default_rng(3), 0
    cluster_Q = np.repeat(np.arange(24), [300, *[1] * 23])
    for _ in range(200):
        rate_Q = rng.beta(1.15, 1.15, 24)[cluster_Q]  # correlated by .3
        low_M, high_M = clustered_means(
            (rng.random(len(cluster_Q)) < rate_Q)[:, None] * 1.0, cluster_Q, 0, 1
        ).interval()
        hit += int(low_M[0] <= 0.5 <= high_M[0])
    assert hit >= 186
