"""Intervals against a loop over the same draws and against what is known of them; means and n of the aggregates."""

import numpy as np
import polars as pl
import pytest

from clir_core.audit.result import MetricRow
from clir_core.measure import stats
from clir_core.measure.stats import aggregate, bootstrap_interval


def normal(n_queries: int, n_columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n_queries, n_columns))


def with_gaps(values_QM: np.ndarray) -> np.ndarray:
    """The same with a third of the cells unknown."""
    return np.where(np.random.default_rng(9).random(values_QM.shape) < 1 / 3, np.nan, values_QM)


def test_an_interval_is_the_percentiles_of_resampled_means() -> None:
    values_QM = with_gaps(normal(23, 4))
    weights_BQ = stats._resamples(23, 0, 200, 7)
    means_BM = []
    for times_Q in weights_BQ.astype(int):
        drawn = [query for query, times in enumerate(times_Q) for _ in range(times)]
        means_BM.append([np.mean([cell for cell in column if not np.isnan(cell)]) for column in values_QM[drawn].T])
    expected = np.percentile(means_BM, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(bootstrap_interval(values_QM, 200, 7), expected, rtol=1e-12)


def test_a_resample_draws_as_many_queries_as_there_are_each_as_likely() -> None:
    weights_BQ = stats._resamples(40, 0, 5000, 1)
    assert set(weights_BQ.sum(axis=1)) == {40}
    # 5,000 resamples: the mean weight of a query is 1, give or take 1 / sqrt(5000) = 0.014
    np.testing.assert_allclose(weights_BQ.mean(axis=0), 1, atol=0.07)
    assert weights_BQ.var() == pytest.approx(1 - 1 / 40, abs=0.02)  # binomial(40, 1 / 40)
    assert len(np.unique(weights_BQ, axis=0)) == 5000


def test_equal_values_have_an_interval_of_no_width() -> None:
    low_M, high_M = bootstrap_interval(np.tile([0.0, 1.0, 0.1, -3.7], (50, 1)), 300, 0)
    np.testing.assert_allclose(low_M, [0, 1, 0.1, -3.7], rtol=1e-14)
    np.testing.assert_allclose(high_M, [0, 1, 0.1, -3.7], rtol=1e-14)


def test_one_query_has_an_interval_of_no_width() -> None:
    low_M, high_M = bootstrap_interval(np.array([[0.25, -2.0]]), 100, 0)
    assert low_M.tolist() == high_M.tolist() == [0.25, -2.0]


def test_a_seed_gives_the_same_interval_again_and_another_seed_another() -> None:
    values_QM = normal(60, 3)
    one, again, other = (bootstrap_interval(values_QM, 500, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (np.array(one) != np.array(other)).all()


def test_a_column_has_its_interval_whatever_stands_beside_it() -> None:
    """Metrics that are added to an audit leave the others' figures alone: all see the same resamples."""
    values_QM = with_gaps(normal(60, 5))
    together = np.array(bootstrap_interval(values_QM, 300, 0))
    for column in range(5):
        alone = np.array(bootstrap_interval(values_QM[:, [column]], 300, 0))
        np.testing.assert_allclose(together[:, [column]], alone, rtol=1e-12)


def test_the_order_of_unknown_cells_and_shifts_of_the_values_carry_over() -> None:
    values_QM = with_gaps(normal(80, 1))
    low_M, high_M = bootstrap_interval(values_QM, 400, 0)
    shifted = bootstrap_interval(10 - 2 * values_QM, 400, 0)
    np.testing.assert_allclose(shifted, [10 - 2 * high_M, 10 - 2 * low_M], rtol=1e-12)


def test_the_size_of_a_chunk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values_QM = with_gaps(normal(50, 3))
    whole = bootstrap_interval(values_QM, 400, 0)
    monkeypatch.setattr(stats, "_CHUNK", 50 * 70)
    np.testing.assert_allclose(bootstrap_interval(values_QM, 400, 0), whole, rtol=1e-12)


def test_resamples_of_several_chunks_differ_from_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that repeated the one before would make the interval of 400 resamples that of 100."""
    values_QM = normal(50, 20)
    monkeypatch.setattr(stats, "_CHUNK", 50 * 100)
    one, four = (np.array(bootstrap_interval(values_QM, resamples, 0)) for resamples in (100, 400))
    assert (one != four).all()


def test_a_column_with_one_known_cell_is_that_cell() -> None:
    values_QM = np.full((30, 1), np.nan)
    values_QM[4] = 0.6
    low_M, high_M = bootstrap_interval(values_QM, 300, 0)
    # resamples without the query have no mean and do not count
    assert (low_M[0], high_M[0]) == (pytest.approx(0.6), pytest.approx(0.6))


def test_unknown_cells_count_for_nothing() -> None:
    """Half of the queries unknown: the interval is as wide as that of the other half alone."""
    known_QM = normal(200, 40)
    padded_QM = np.concatenate([known_QM, np.full((200, 40), np.nan)])
    width = np.diff(bootstrap_interval(known_QM, 2000, 0), axis=0).mean()
    assert np.diff(bootstrap_interval(padded_QM, 2000, 0), axis=0).mean() == pytest.approx(width, rel=0.05)


def test_95_of_100_intervals_hold_the_true_mean() -> None:
    """1,000 samples of 150 from a normal distribution around 3; percentile intervals of so many are a little narrow."""
    low_M, high_M = bootstrap_interval(3 + normal(150, 1000, seed=2), 1000, 5)
    assert 0.925 < ((low_M <= 3) & (high_M >= 3)).mean() < 0.965
    # the textbook's: 2 * 1.96 / sqrt(150)
    assert (high_M - low_M).mean() == pytest.approx(0.320, rel=0.03)


def test_aggregates_are_means_over_the_queries_that_have_a_value() -> None:
    table = pl.DataFrame(
        {
            "scenario": ["mono", "mono", "mono", "multi", "multi", "nway"],
            "query_lang": ["de", "de", "de", None, None, "en"],
            "lang": ["de", "de", "de", "de", "de", None],
            "query_id": ["a", "b", "c", "a", "b", "a"],
            "mrr": [1.0, 0.5, 0.0, None, None, 0.25],
            "pull(x)": [None, 0.5, -0.25, None, None, None],
            "language_gap(mrr)": [None, None, None, -1.0, -0.5, None],
        }
    )
    units = {"mrr": "rate", "pull(x)": "share", "language_gap(mrr)": "rate", "not asked": "rank"}
    rows = list(aggregate(table, units, 200, 0))
    assert [(row.scenario, row.query_lang, row.lang, row.metric, row.value, row.n, row.unit) for row in rows] == [
        ("mono", "de", "de", "mrr", 0.5, 3, "rate"),
        ("mono", "de", "de", "pull(x)", 0.125, 2, "share"),
        # a metric without any value is left out: never a mean of nothing
        ("multi", None, "de", "language_gap(mrr)", -0.75, 2, "rate"),
        ("nway", "en", None, "mrr", 0.25, 1, "rate"),
    ]
    assert all(row.low <= row.value <= row.high for row in rows)
    low_M, high_M = bootstrap_interval(np.array([[1, np.nan], [0.5, 0.5], [0, -0.25]]), 200, 0)
    assert [(row.low, row.high) for row in rows[:2]] == list(zip(low_M, high_M, strict=True))


def test_aggregates_of_whole_numbers_and_truths_are_means_too() -> None:
    keys = {"scenario": ["mono"] * 4, "query_lang": ["de"] * 4, "lang": ["de"] * 4, "query_id": list("abcd")}
    table = pl.DataFrame(keys | {"max_at_r": [1, 2, 4, 9], "acc@1": [True, False, False, False]})
    rows = list(aggregate(table, {"max_at_r": "rank", "acc@1": "rate"}, 100, 0))
    assert [(row.metric, row.value) for row in rows] == [("max_at_r", 4.0), ("acc@1", 0.25)]


def test_aggregates_are_the_same_again_and_survive_json() -> None:
    keys = {"scenario": ["mono"] * 30, "query_lang": ["de"] * 30, "lang": ["de"] * 30}
    table = pl.DataFrame(keys | {"mrr": normal(30, 1)[:, 0]})
    one, again = (list(aggregate(table, {"mrr": "rate"}, 500, 0)) for _ in range(2))
    assert one == again
    assert [MetricRow.model_validate_json(row.model_dump_json()) for row in one] == one
