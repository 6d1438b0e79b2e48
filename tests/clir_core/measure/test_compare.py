"""Paired differences against hand-made data, their bounds against the binomial, Holm against an example."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import erfc, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from report_case import result

from clir_core.audit.holm import holm
from clir_core.errors import SpecError, StoreError
from clir_core.measure.compare import Difference, compare, compare_audits
from clir_core.measure.interval import clustered_means

KEYS = ("scenario", "query_lang", "lang")


def pool(scenario: str, query_lang: str | None, lang: str | None, **values: Sequence[float | None]) -> pl.DataFrame:
    """One pool's queries, q0 and on, in the layout of queries.parquet."""
    n = len(next(iter(values.values())))
    keys = dict(zip(KEYS, (scenario, query_lang, lang), strict=True))
    strings = {name: pl.Series([value] * n, dtype=pl.String) for name, value in keys.items()}
    return pl.DataFrame(strings | {"query_id": [f"q{i}" for i in range(n)]} | values)


def table(values: Mapping[tuple[str, str | None, str | None], Sequence[float]], metric: str = "mrr") -> pl.DataFrame:
    return pl.concat(pool(*key, **{metric: list(cells)}) for key, cells in values.items())


def by_pool(found: Sequence[Difference]) -> dict[tuple[str, str | None, str | None], Difference]:
    return {(row.scenario, row.query_lang, row.lang): row for row in found}


def coins(n: int, p: float, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(n) < p).astype(float).tolist()


def test_a_difference_is_that_of_the_means_over_pairs() -> None:
    before = pool("multi", "de", "de", mrr=[1.0, 0.5, 0.0, 0.25], lpr=[None, 1.0, 0.0, None])
    after = pool("multi", "de", "de", mrr=[1.0, 1.0, 0.5, 0.25], lpr=[1.0, 0.0, None, None])
    units = {"mrr": "rate", "lpr": "share", "not asked": "rank"}
    mrr, lpr = compare(before, after, units).differences
    assert (mrr.before, mrr.after, mrr.difference, mrr.n, mrr.unit) == (0.4375, 0.6875, 0.25, 4, "rate")
    means = clustered_means(np.array([[0.0], [0.5], [0.5], [0.0]]), np.arange(4), -1, 1)
    assert [(mrr.low, mrr.high)] == list(zip(*means.interval(), strict=True))
    assert (mrr.p, mrr.clusters) == (means.p(0.0)[0], 4)
    # only q1 has an lpr in both
    assert (lpr.metric, lpr.before, lpr.after, lpr.difference, lpr.n, lpr.unit) == ("lpr", 1, 0, -1, 1, "share")


def test_identical_audits_differ_by_0_with_p_1_and_may_differ_by_what_so_few_can_hide() -> None:
    cells = np.random.default_rng(0).random(40).tolist()
    audit = table({("mono", "de", "de"): cells, ("mono", "en", "en"): cells[:7], ("nway", "en", None): cells})
    found = compare(audit, audit, {"mrr": "rate"}).differences
    assert len(found) == 3
    assert {(row.difference, row.p, row.p_holm) for row in found} == {(0, 1, 1)}
    for row in found:
        # none of n differs: the exact bound of a share, twice as wide for a difference that may go either way by 1
        assert row.high == -row.low == pytest.approx(1 - 0.025 ** (1 / row.n), rel=0.15)


@pytest.mark.parametrize("n", [6, 8, 12])
def test_p_of_a_gain_in_every_query_is_that_of_so_many_coins(n: int) -> None:
    before, after = (table({("mono", "de", "de"): [cell] * n}) for cell in (0.0, 1.0))
    (row,) = compare(before, after, {"mrr": "rate"}).differences
    assert row.p == pytest.approx(2 * 0.5**n, rel=0.2, abs=0.001)
    assert row.high == 1


def test_unknown_pairs_change_nothing() -> None:
    values = (np.random.default_rng(2).random(60)).tolist()
    few = pool("mono", "de", "de", lpr=values), pool("mono", "de", "de", lpr=[0.4] * 60)
    padded = pool("mono", "de", "de", lpr=[*values, *[None] * 60]), pool("mono", "de", "de", lpr=[0.4] * 120)
    (one,), (other,) = (compare(*audits, {"lpr": "rate"}).differences for audits in (few, padded))
    assert one.n == other.n
    assert (one.p, one.low, one.high) == pytest.approx((other.p, other.low, other.high))


def drawn(random: np.random.Generator, queries: int, gain: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two audits of 200 languages whose figures differ by noise around the gain."""
    pools = [("mono", f"l{i:03}", f"l{i:03}") for i in range(200)]
    change = random.uniform(-0.4, 0.4, (200, queries)) + gain
    before, after = ([[0.5] * queries] * 200, (0.5 + change).tolist())
    return table(dict(zip(pools, before, strict=True))), table(dict(zip(pools, after, strict=True)))


def test_without_a_difference_a_p_is_no_smaller_than_it_should_be() -> None:
    found = compare(*drawn(np.random.default_rng(5), 80, 0.0), {"mrr": "rate"}).differences
    p = np.array([row.p for row in found])
    for level in (0.05, 0.25, 0.5, 0.75):
        assert (p <= level).mean() <= level + 3 * sqrt(level * (1 - level) / len(p))


def test_p_agrees_with_the_z_test_of_many_differences_and_is_no_bolder() -> None:
    before, after = drawn(np.random.default_rng(6), 600, 0.025)
    found = compare(before, after, {"mrr": "rate"}).differences
    change = (after["mrr"] - before["mrr"]).to_numpy().reshape(200, 600)
    z = change.mean(axis=1) / change.std(axis=1, ddof=1) * sqrt(600)
    expected = [erfc(abs(value) / sqrt(2)) for value in z]
    p = np.array([row.p for row in found])
    assert (p > expected).all()
    np.testing.assert_allclose(p, expected, atol=0.15)


def clustered(values: Sequence[float], cluster: Sequence[int], lang: str = "de") -> pl.DataFrame:
    audit = table({("mono", lang, lang): values})
    return audit.with_columns(cluster=pl.Series(cluster, dtype=pl.Int32), pool_size=pl.lit(50, pl.Int32))


def test_queries_that_were_sampled_together_tell_less() -> None:
    values = np.repeat([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0] * 5, 5).tolist()
    before = [0.5] * 200
    of_each = []
    for size in (1, 5):
        cluster = [i // size for i in range(200)]
        (row,) = compare(clustered(before, cluster), clustered(values, cluster), {"mrr": "rate"}).differences
        of_each.append(row)
        assert row.clusters == 200 / size
    alone, together = of_each
    # every cluster of 5 says one thing five times: sqrt(5) wider, and wider for how little 40 clusters tell of that
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(sqrt(5), rel=0.15)
    assert together.p > alone.p


def test_the_mean_of_several_pools_counts_languages_the_same_and_clusters_once() -> None:
    """German has 40 queries, Chinese the first 10 of them."""
    german, chinese = [1.0] * 20 + [0.0] * 20, [0.0] * 10
    sides = [
        pl.concat([clustered(de, list(range(40))), clustered(zh, list(range(10)), "zh")])
        for de, zh in (([0.0] * 40, [0.0] * 10), (german, chinese))
    ]
    comparison = compare(*sides, {"mrr": "rate"})
    means = comparison.means(comparison.differences)
    assert means.mean_M[0] == pytest.approx((0.5 + 0.0) / 2)
    assert (means.n_M[0], means.clusters_M[0]) == (50, 40)
    for row in comparison.differences:
        alone = comparison.means([row])
        assert (alone.mean_M[0], *(end[0] for end in alone.interval())) == pytest.approx(
            (row.difference, row.low, row.high)
        )
        assert alone.p(0.0)[0] == pytest.approx(row.p)


def test_where_no_cluster_is_known_languages_do_not_multiply_the_queries() -> None:
    """Six queries in 70 languages are 6 observations: nothing was lost in 420 rows, and 0.45 cannot be excluded."""
    values = {("mono", f"l{i}", f"l{i}"): [1.0] * 6 for i in range(70)}
    comparison = compare(table(values), table(values), {"mrr": "rate"})
    means = comparison.means(comparison.differences)
    assert means.clusters_M[0] == 6
    assert -means.interval()[0][0] == pytest.approx(1 - 0.025 ** (1 / 6), rel=0.05)


def test_ranks_of_an_audit_of_before_are_bounded_by_the_largest_seen() -> None:
    before, after = (table({("mono", "de", "de"): ranks}, "max_at_r") for ranks in ([1.0, 40.0, 3.0], [1.0, 2.0, 3.0]))
    (row,) = compare(before, after, {"max_at_r": "rank"}).differences
    assert row.difference == pytest.approx(-38 / 3)
    assert row.low == pytest.approx(-39, rel=0.2) and row.high > 0


def test_holm_is_that_of_the_textbook() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1, never falling
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.7, 0.6]), [1, 1])
    np.testing.assert_allclose(holm([0.2]), [0.2])


def sides() -> dict[tuple[str, str | None, str | None], list[float]]:
    """Gains of several sizes in two languages and both query sides of two scenarios."""
    keys = [("mono", "en", "en"), *(("mono", x, x) for x in ("ar", "de"))]
    keys += [("multi", q, x) for x in ("ar", "de") for q in ("en", x)] + [("multi", None, "de")]
    return {key: coins(60, 0.55 + 0.03 * i, i) for i, key in enumerate(keys)}


def test_holm_is_over_the_languages_of_a_scenario_query_side_and_metric() -> None:
    values = sides()
    better = table(values).with_columns(lpr=pl.col("mrr").reverse())
    base = better.with_columns(mrr=0.5, lpr=0.5)
    for metric in ("mrr", "lpr"):
        rows = compare(base, better, {"mrr": "rate", "lpr": "rate"}).differences
        found = by_pool([row for row in rows if row.metric == metric])
        for scenario, queries in (("multi", ("ar", "de")), ("multi", ("en", "en")), ("mono", ("ar", "de"))):
            family = [found[scenario, query, lang] for query, lang in zip(queries, ("ar", "de"), strict=True)]
            assert [row.p_holm for row in family] == holm([row.p for row in family])
            assert any(row.p_holm > row.p for row in family)
        # alone in their families
        for key in (("mono", "en", "en"), ("multi", None, "de")):
            assert found[key].p_holm == found[key].p


def test_many_languages_leave_room_for_significance() -> None:
    languages = [f"l{i}" for i in range(60)]
    before, after = (table({("mono", x, x): [cell] * 30 for x in languages}) for cell in (0.0, 1.0))
    assert {row.p_holm < 0.01 for row in compare(before, after, {"mrr": "rate"}).differences} == {True}


def test_the_order_of_rows_changes_nothing() -> None:
    values = sides()
    before, after = table({key: coins(60, 0.5, 99) for key in values}), table(values)
    found = compare(before, after, {"mrr": "rate"}).differences
    shuffled = (audit.sample(fraction=1, shuffle=True, seed=i) for i, audit in enumerate((before, after)))
    assert compare(*shuffled, {"mrr": "rate"}).differences == found


def test_a_pool_has_its_figures_whatever_stands_beside_it() -> None:
    """Pools of other sizes, metrics beside it, cells unknown: low, high and p stay but for their last bits."""
    de = {"mrr": coins(50, 0.5, 1), "lpr": [None, *coins(49, 0.5, 2)]}
    better = {"mrr": coins(50, 0.7, 3), "lpr": [*coins(49, 0.7, 4), None]}
    rest = [pool("mono", "ar", "ar", mrr=coins(50, 0.4, 5)), pool("nway", "en", None, mrr=coins(8, 0.4, 6))]
    alone = []
    for name in ("mrr", "lpr"):
        audits = [pool("mono", "de", "de", **{name: cells[name]}) for cells in (de, better)]
        alone.append(compare(*audits, {name: "rate"}).differences)
    before, after = (
        pl.concat([pool("mono", "de", "de", **cells), *rest], how="diagonal_relaxed") for cells in (de, better)
    )
    together = [row for row in compare(before, after, {"mrr": "rate", "lpr": "rate"}).differences if row.lang == "de"]
    for row, (other,) in zip(together, alone, strict=True):
        summed = {"p_holm", "p", "low", "high"}
        assert row.model_dump(exclude=summed) == other.model_dump(exclude=summed)
        assert row.p == pytest.approx(other.p, rel=1e-9)
        assert (row.low, row.high) == (pytest.approx(other.low, rel=1e-12), pytest.approx(other.high, rel=1e-12))


def test_audits_of_other_queries_are_not_compared() -> None:
    both = {("multi", None, "de"): [0.5], ("nway", "de", None): [0.5]}
    before = table({("mono", "de", "de"): [0.0] * 9, ("mono", "en", "en"): [0.0] * 3} | both)
    after = table({("mono", "de", "de"): [1.0] * 2, ("nway", "en", None): [0.0]} | both)
    with pytest.raises(SpecError) as caught:
        compare(before, after, {"mrr": "rate"})
    assert "10 queries (mono/de/de/q2, mono/de/de/q3, mono/de/de/q4, " in str(caught.value)
    assert "and 5 more) only before, 1 query (nway/en/-/q0) only after; audit both" in str(caught.value)


def test_a_column_without_any_language_is_compared_with_one_that_has_some() -> None:
    before = table({("nway", "en", None): [0.5]}).with_columns(lang=pl.Series([None], dtype=pl.Null))
    after = table({("nway", "en", None): [0.5], ("mono", "de", "de"): [0.5]})
    with pytest.raises(SpecError, match=r"0 queries only before, 1 query \(mono/de/de/q0\) only after"):
        compare(before, after, {"mrr": "rate"})


def test_a_query_that_is_there_twice_is_an_error() -> None:
    audit = table({("mono", "de", "de"): [0.0, 1.0]})
    with pytest.raises(SpecError, match=r"2 queries \(mono/de/de/q1, mono/de/de/q1\) more than once"):
        compare(*[pl.concat([audit, audit[1:]])] * 2, {"mrr": "rate"})


def test_audits_of_other_cutoffs_are_not_compared() -> None:
    before, after = (table({("mono", "de", "de"): [0.5]}, name) for name in ("ndcg@10", "ndcg@100"))
    with pytest.raises(SpecError, match="only one of the two audits has ndcg@10, ndcg@100; audit"):
        compare(before, after, {"ndcg@10": "rate", "ndcg@100": "rate"})


def test_nothing_compared_is_no_error() -> None:
    empty = table({("mono", "de", "de"): [0.5]}).clear()
    assert compare(empty, empty, {"mrr": "rate"}).differences == ()


def saved(directory: Path, cells: Sequence[float], **changes: object) -> Path:
    directory.mkdir()
    (directory / "audit.json").write_text(result(**changes).model_dump_json(), "utf-8")
    table({("mono", "de", "de"): cells}).write_parquet(directory / "queries.parquet")
    return directory


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return saved(tmp_path / "base", [0.0] * 20)


def test_audits_are_compared_by_their_directories(base: Path, tmp_path: Path) -> None:
    (found,) = compare_audits(base, saved(tmp_path / "tuned", [0.5] * 20)).differences
    assert (found.metric, found.difference, found.n, found.unit) == ("mrr", 0.5, 20, "rate")


def others() -> Iterator[tuple[dict[str, object], str]]:
    made = result()
    corpus = made.provenance.model_copy(update={"corpus_fingerprint": "0" * 64})
    yield {"provenance": corpus}, "different corpora"
    yield {"spec": made.spec.model_copy(update={"seed": 7})}, "seeds 0 and 7"


@pytest.mark.parametrize(("changes", "message"), others())
def test_audits_of_other_corpora_or_seeds_are_not_compared(
    base: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """Although their queries have the same names."""
    with pytest.raises(SpecError, match=message):
        compare_audits(base, saved(tmp_path / "other", [0.5] * 20, **changes))


def test_a_directory_without_an_audit_is_named(base: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        compare_audits(base, tmp_path / "nowhere")


def test_an_audit_of_before_is_compared_with_one_that_knows_its_clusters(tmp_path: Path) -> None:
    """Of before: no cluster, no size of pools in queries.parquet; no claims, clusters or p in audit.json."""
    old, new = saved(tmp_path / "old", [0.0] * 20), saved(tmp_path / "new", [0.5] * 20)
    told = json.loads((old / "audit.json").read_text("utf-8"))
    told.pop("claims")
    told["spec"] |= {"resamples": 1000}
    told["metrics"] = [{name: row[name] for name in row if name not in ("clusters", "p")} for row in told["metrics"]]
    (old / "audit.json").write_text(json.dumps(told), "utf-8")
    clustered([0.5] * 20, [i // 4 for i in range(20)]).write_parquet(new / "queries.parquet")
    for before, after, gain in ((old, new, 0.5), (new, old, -0.5)):
        (row,) = compare_audits(before, after).differences
        assert (row.difference, row.n, row.clusters) == (gain, 20, 5)
