"""Paired differences against hand-made data, the randomisation test against all sign flips, Holm against an example."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import comb, erfc, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from report_case import result

from clir_core.errors import SpecError, StoreError
from clir_core.measure.compare import Difference, compare, compare_audits, holm, randomisation_p
from clir_core.measure.stats import bootstrap_interval

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


def exact_p(differences: Sequence[float]) -> float:
    """Over all 2^n assignments of signs."""
    observed = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=8)]
    return float(np.mean([total >= observed - 1e-12 for total in sums]))


def test_a_difference_is_that_of_the_means_over_pairs() -> None:
    before = pool("multi", "de", "de", mrr=[1.0, 0.5, 0.0, 0.25], lpr=[None, 1.0, 0.0, None])
    after = pool("multi", "de", "de", mrr=[1.0, 1.0, 0.5, 0.25], lpr=[1.0, 0.0, None, None])
    units = {"mrr": "rate", "lpr": "share", "not asked": "rank"}
    mrr, lpr = compare(before, after, units, 400, 3)
    assert (mrr.before, mrr.after, mrr.difference, mrr.n, mrr.unit) == (0.4375, 0.6875, 0.25, 4, "rate")
    # the same resamples for both audits: the interval is that of the queries' differences
    low, high = bootstrap_interval(np.array([[0.0], [0.5], [0.5], [0.0]]), 400, 3)
    assert (mrr.low, mrr.high) == (low[0], high[0])
    # only q1 has an lpr in both
    assert (lpr.metric, lpr.before, lpr.after, lpr.difference, lpr.n, lpr.unit) == ("lpr", 1, 0, -1, 1, "share")


def test_identical_audits_differ_by_0_with_p_1() -> None:
    cells = np.random.default_rng(0).random(40).tolist()
    audit = table({("mono", "de", "de"): cells, ("mono", "en", "en"): cells[:7], ("nway", "en", None): cells})
    found = compare(audit, audit, {"mrr": "rate"}, 200, 0)
    assert len(found) == 3
    assert {(row.difference, row.low, row.high, row.p, row.p_holm) for row in found} == {(0, 0, 0, 1, 1)}


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, 1, 1, 1, 1, 1],  # p = 2 / 256, the least there is
        [1, 1, 1, 0, 0, 1, -1, 0],
        [0.1, 0.2, 0.3, -0.3, 0.25, 0.7, -0.1, 0.05],
        [-0.5, -0.25, 0.125, -1, 0.125, -0.75, 0, -0.375],
        [1, -1, 0, 0, 0, 0, 0, 0],
    ],
)
def test_the_randomisation_test_agrees_with_all_sign_flips(differences: list[float]) -> None:
    flips = 20_000
    (p,) = randomisation_p(np.array([differences]).T, flips, 1)
    exact = exact_p(differences)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / flips) + 1 / flips)


def test_p_is_never_0_and_counts_the_data_as_one_flip() -> None:
    (p,) = randomisation_p(np.ones((500, 1)), 999, 0)
    assert p == 1 / 1000
    (p,) = randomisation_p(np.zeros((5, 1)), 150, 0)
    assert p == 1


def test_sums_that_differ_by_rounding_are_ties() -> None:
    """20 times 0.7, 5 of them negative: every other 5, or 15, give the same sum but for its last bits."""
    (p,) = randomisation_p(np.array([[-0.7]] * 5 + [[0.7]] * 15), 40_000, 0)
    tail = sum(comb(20, k) for k in range(6)) / 2**20
    assert p == pytest.approx(2 * tail, abs=0.004)


def test_unknown_pairs_change_no_p() -> None:
    known = np.random.default_rng(2).standard_normal((60, 1)) + 0.2
    padded = np.concatenate([known, np.full((60, 1), np.nan)])
    few, many = randomisation_p(known, 20_000, 0), randomisation_p(padded, 20_000, 0)
    assert few[0] == pytest.approx(many[0], abs=0.015)


def test_without_a_difference_every_p_is_as_likely() -> None:
    differences = np.random.default_rng(5).standard_normal((80, 2000))
    p = randomisation_p(differences, 999, 0)
    # 2,000 p-values: their share below a level is that level, give or take 3 sqrt(level / 2000)
    for level in (0.05, 0.25, 0.5, 0.75):
        assert (p <= level).mean() == pytest.approx(level, abs=0.035)


def test_p_agrees_with_the_z_test_of_many_normal_differences() -> None:
    differences = np.random.default_rng(6).standard_normal((300, 50)) + 0.1
    z = differences.mean(axis=0) / differences.std(axis=0, ddof=1) * sqrt(300)
    expected = [erfc(abs(value) / sqrt(2)) for value in z]
    np.testing.assert_allclose(randomisation_p(differences, 5_000, 0), expected, atol=0.03)


def test_a_gain_is_found_as_often_as_theory_says() -> None:
    """A mean of 0.2 standard deviations over 200 queries: power 0.807 at the level 0.05, two-sided."""
    differences = np.random.default_rng(7).standard_normal((200, 1000)) + 0.2
    assert (randomisation_p(differences, 999, 0) < 0.05).mean() == pytest.approx(0.807, abs=0.05)


def test_holm_is_that_of_the_textbook() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1, never falling
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.7, 0.6])), [1, 1])
    np.testing.assert_allclose(holm(np.array([0.2])), [0.2])


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
        rows = compare(base, better, {"mrr": "rate", "lpr": "rate"}, 500, 0)
        found = by_pool([row for row in rows if row.metric == metric])
        for scenario, queries in (("multi", ("ar", "de")), ("multi", ("en", "en")), ("mono", ("ar", "de"))):
            family = [found[scenario, query, lang] for query, lang in zip(queries, ("ar", "de"), strict=True)]
            assert [row.p_holm for row in family] == holm(np.array([row.p for row in family])).tolist()
            assert any(row.p_holm > row.p for row in family)
        # alone in their families
        for key in (("mono", "en", "en"), ("multi", None, "de")):
            assert found[key].p_holm == found[key].p


def test_many_languages_leave_room_for_significance() -> None:
    """With 1,000 flips, the least p of 60 languages would be 60 / 1001 after Holm: nothing could ever be promoted."""
    languages = [f"l{i}" for i in range(60)]
    before, after = (table({("mono", x, x): [cell] * 30 for x in languages}) for cell in (0.0, 1.0))
    assert {row.p_holm < 0.01 for row in compare(before, after, {"mrr": "rate"}, 1000, 0)} == {True}


def test_the_order_of_rows_changes_nothing_and_the_seed_something() -> None:
    values = sides()
    before, after = table({key: coins(60, 0.5, 99) for key in values}), table(values)
    found = compare(before, after, {"mrr": "rate"}, 300, 0)
    shuffled = (audit.sample(fraction=1, shuffle=True, seed=i) for i, audit in enumerate((before, after)))
    assert compare(*shuffled, {"mrr": "rate"}, 300, 0) == found
    again = compare(before, after, {"mrr": "rate"}, 300, 1)
    assert [row.difference for row in again] == [row.difference for row in found]
    assert [row.p for row in again] != [row.p for row in found]


def test_a_pool_has_its_figures_whatever_stands_beside_it() -> None:
    """Pools of other sizes, metrics beside it, cells unknown: low, high and p stay."""
    de = {"mrr": coins(50, 0.5, 1), "lpr": [None, *coins(49, 0.5, 2)]}
    better = {"mrr": coins(50, 0.7, 3), "lpr": [*coins(49, 0.7, 4), None]}
    rest = [pool("mono", "ar", "ar", mrr=coins(50, 0.4, 5)), pool("nway", "en", None, mrr=coins(8, 0.4, 6))]
    alone = []
    for name in ("mrr", "lpr"):
        audits = [pool("mono", "de", "de", **{name: cells[name]}) for cells in (de, better)]
        alone.append(compare(*audits, {name: "rate"}, 999, 0))
    before, after = (
        pl.concat([pool("mono", "de", "de", **cells), *rest], how="diagonal_relaxed") for cells in (de, better)
    )
    together = [row for row in compare(before, after, {"mrr": "rate", "lpr": "rate"}, 999, 0) if row.lang == "de"]
    for row, (other,) in zip(together, alone, strict=True):
        assert row.model_dump(exclude={"p_holm", "low", "high"}) == other.model_dump(exclude={"p_holm", "low", "high"})
        assert (row.low, row.high) == (pytest.approx(other.low, rel=1e-12), pytest.approx(other.high, rel=1e-12))


def test_audits_of_other_queries_are_not_compared() -> None:
    both = {("multi", None, "de"): [0.5], ("nway", "de", None): [0.5]}
    before = table({("mono", "de", "de"): [0.0] * 9, ("mono", "en", "en"): [0.0] * 3} | both)
    after = table({("mono", "de", "de"): [1.0] * 2, ("nway", "en", None): [0.0]} | both)
    with pytest.raises(SpecError) as caught:
        compare(before, after, {"mrr": "rate"}, 200, 0)
    assert "10 queries (mono/de/de/q2, mono/de/de/q3, mono/de/de/q4, " in str(caught.value)
    assert "and 5 more) only before, 1 query (nway/en/-/q0) only after; audit both" in str(caught.value)


def test_a_column_without_any_language_is_compared_with_one_that_has_some() -> None:
    before = table({("nway", "en", None): [0.5]}).with_columns(lang=pl.Series([None], dtype=pl.Null))
    after = table({("nway", "en", None): [0.5], ("mono", "de", "de"): [0.5]})
    with pytest.raises(SpecError, match=r"0 queries only before, 1 query \(mono/de/de/q0\) only after"):
        compare(before, after, {"mrr": "rate"}, 200, 0)


def test_a_query_that_is_there_twice_is_an_error() -> None:
    audit = table({("mono", "de", "de"): [0.0, 1.0]})
    with pytest.raises(SpecError, match=r"2 queries \(mono/de/de/q1, mono/de/de/q1\) more than once"):
        compare(*[pl.concat([audit, audit[1:]])] * 2, {"mrr": "rate"}, 200, 0)


def test_audits_of_other_cutoffs_are_not_compared() -> None:
    before, after = (table({("mono", "de", "de"): [0.5]}, name) for name in ("ndcg@10", "ndcg@100"))
    with pytest.raises(SpecError, match="only one of the two audits has ndcg@10, ndcg@100; audit"):
        compare(before, after, {"ndcg@10": "rate", "ndcg@100": "rate"}, 200, 0)


def test_nothing_compared_is_no_error() -> None:
    empty = table({("mono", "de", "de"): [0.5]}).clear()
    assert compare(empty, empty, {"mrr": "rate"}, 200, 0) == ()


def saved(directory: Path, cells: Sequence[float], **changes: object) -> Path:
    directory.mkdir()
    (directory / "audit.json").write_text(result(**changes).model_dump_json(), "utf-8")
    table({("mono", "de", "de"): cells}).write_parquet(directory / "queries.parquet")
    return directory


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return saved(tmp_path / "base", [0.0] * 20)


def test_audits_are_compared_by_their_directories(base: Path, tmp_path: Path) -> None:
    (found,) = compare_audits(base, saved(tmp_path / "tuned", [0.5] * 20))
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
