"""Means, n, clusters, ranges and p of an audit's figures, by hand; what their intervals are, test_interval.py says."""

import numpy as np
import polars as pl
import pytest

from clir_core.audit.result import MetricRow
from clir_core.measure.interval import clustered_means
from clir_core.measure.metrics import units
from clir_core.measure.stats import aggregate, ranges

TABLE = pl.DataFrame(
    {
        "scenario": ["mono", "mono", "mono", "multi", "multi", "nway"],
        "query_lang": ["de", "de", "de", None, None, "en"],
        "lang": ["de", "de", "de", "de", "de", None],
        "query_id": ["a", "b", "c", "a", "b", "a"],
        "cluster": [0, 0, 1, 0, 0, 0],
        "pool_size": [10, 9, 10, 20, 20, 30],
        "pivot_share": [0.25, 0.5, 0.25, 0.5, 0.5, 0.25],
        "mrr": [1.0, 0.5, 0.0, None, None, 0.25],
        "max_at_r": [1.0, 2.0, 9.0, None, None, 30.0],
        "pull(x)": [None, 0.5, -0.25, None, None, None],
        "lpr": [1.0, 1.0, None, None, None, None],
        "language_gap(mrr)": [None, None, None, -1.0, -0.5, None],
    }
)
UNITS = {
    "mrr": "rate", "max_at_r": "rank", "pull(x)": "share", "lpr": "rate", "language_gap(mrr)": "rate",
}  # fmt: skip


def row_of(metric: str, scenario: str) -> MetricRow:
    return next(row for row in aggregate(TABLE, UNITS) if (row.metric, row.scenario) == (metric, scenario))


def interval_of(values: list[float], cluster: list[int], least: float, most: float) -> tuple[float, float]:
    low_M, high_M = clustered_means(np.array(values)[:, None], np.array(cluster), least, most).interval()
    return low_M[0], high_M[0]


def test_aggregates_are_means_over_the_queries_that_have_a_value() -> None:
    found = [
        (row.scenario, row.query_lang, row.lang, row.metric, row.value, row.n, row.clusters)
        for row in aggregate(TABLE, UNITS)
    ]
    assert found == [
        ("mono", "de", "de", "mrr", 0.5, 3, 2),
        ("mono", "de", "de", "max_at_r", 4, 3, 2),
        ("mono", "de", "de", "pull(x)", 0.125, 2, 2),
        ("mono", "de", "de", "lpr", 1, 2, 1),
        # a metric without any value is left out: never a mean of nothing
        ("multi", None, "de", "language_gap(mrr)", -0.75, 2, 1),
        ("nway", "en", None, "mrr", 0.25, 1, 1),
        ("nway", "en", None, "max_at_r", 30, 1, 1),
    ]
    assert all(row.unit == UNITS[row.metric] and row.low <= row.value <= row.high for row in aggregate(TABLE, UNITS))


def test_intervals_are_those_of_the_clusters_in_the_range_of_the_metric() -> None:
    mrr, rank, pull = (row_of(name, "mono") for name in ("mrr", "max_at_r", "pull(x)"))
    assert (mrr.low, mrr.high) == pytest.approx(interval_of([1, 0.5, 0], [0, 0, 1], 0, 1))
    # the largest pool's last rank
    assert (rank.low, rank.high) == pytest.approx(interval_of([1, 2, 9], [0, 0, 1], 1, 10))
    # the pools hold a quarter to a half of English
    assert (pull.low, pull.high) == pytest.approx(interval_of([0.5, -0.25], [0, 1], -0.5, 0.75))


def test_p_is_of_no_preference_where_a_value_says_so() -> None:
    found = {row.metric: row for row in aggregate(TABLE, UNITS) if row.scenario != "nway"}
    assert {name for name, row in found.items() if row.p is None} == {"mrr", "max_at_r"}
    lpr = clustered_means(np.ones((2, 1)), np.zeros(2), 0, 1)
    assert found["lpr"].p == pytest.approx(lpr.p(0.5)[0])  # a half prefers neither
    pull = clustered_means(np.array([[0.5], [-0.25]]), np.arange(2), -0.5, 0.75)
    assert found["pull(x)"].p == pytest.approx(pull.p(0.0)[0])


@pytest.mark.parametrize("name", units((1, 10)))
def test_no_value_lies_outside_of_its_metric_s_range(name: str) -> None:
    pools = pl.DataFrame({"pool_size": [480, 470], "pivot_share": [0.2, 0.3]})
    (least,), (most,) = ranges([name], units((1, 10)), pools)
    if name.startswith("pull"):
        assert (least, most) == (-0.3, 0.8)
    elif name.startswith("language_gap(max_at_r)"):
        assert (least, most) == (-480, 480)
    elif name.startswith(("language_gap(max_at_r_norm)", "max_at_r_norm")):
        assert (least, most) == ((-100, 100) if "gap" in name else (0, 100))
    elif name in ("max_at_r", "rank_distance"):
        assert (least, most) == ((1, 480) if name == "max_at_r" else (0, 479))
    elif name.startswith(("language_gap", "inclination", "english_share", "mrc")) and "rate" not in name:
        assert (least, most) == (-1, 1)
    else:
        assert (least, most) == (0, 1)


def test_aggregates_of_whole_numbers_and_truths_are_means_too() -> None:
    keys = {"scenario": ["mono"] * 4, "query_lang": ["de"] * 4, "lang": ["de"] * 4, "query_id": list("abcd")}
    sampled = {"cluster": [1, 2, 3, 4], "pool_size": [9] * 4, "pivot_share": [0.5] * 4}
    table = pl.DataFrame(keys | sampled | {"max_at_r": [1, 2, 4, 9], "acc@1": [True, False, False, False]})
    rows = list(aggregate(table, {"max_at_r": "rank", "acc@1": "rate"}))
    assert [(row.metric, row.value) for row in rows] == [("max_at_r", 4.0), ("acc@1", 0.25)]


def test_aggregates_do_not_depend_on_the_order_of_rows_and_survive_json() -> None:
    one, other = (sorted(aggregate(table, UNITS), key=lambda row: str(row.key)) for table in (TABLE, TABLE.reverse()))
    assert [row.key for row in one] == [row.key for row in other]
    for row, same in zip(one, other, strict=True):
        assert (row.value, row.low, row.high) == pytest.approx((same.value, same.low, same.high), rel=1e-12)
    assert [MetricRow.model_validate_json(row.model_dump_json()) for row in one] == one
