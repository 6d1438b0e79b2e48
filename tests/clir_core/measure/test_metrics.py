"""Every metric against the brute force, trec_eval's against ir_measures, and all of them against sums done by hand."""

import random
import tempfile
from dataclasses import replace
from math import isclose
from pathlib import Path
from unittest.mock import patch

import ir_measures
import polars as pl
import pytest
from brute_force import Case, Key, Qrel, Text, Values, answers, metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG
from polars.testing import assert_frame_equal
from pools_case import LANGS, asked, cases, make_case, measure, parallel

from clir_core.measure import pieces
from clir_core.measure.metrics import QUERY, SAMPLED, per_query, units
from clir_core.measure.pieces import measure_ranks
from clir_core.measure.stats import aggregate


def table_of(case: Case, cutoffs: tuple[int, ...]) -> pl.DataFrame:
    found = measure(case)
    return per_query(found.ranks, found.top, asked(case), cutoffs)


def figures(case: Case, cutoffs: tuple[int, ...]) -> dict[Key, Values]:
    """The library's figures: by scenario, query language, language and query; null figures left out."""
    table, names = table_of(case, cutoffs), units(cutoffs)
    rows = {tuple(row[key] for key in QUERY): row for row in table.iter_rows(named=True)}
    assert len(rows) == len(table)
    return {key: {name: row[name] for name in names if row[name] is not None} for key, row in rows.items()}


def assert_same(found: dict[Key, Values], expected: dict[Key, Values]) -> None:
    assert set(found) == set(expected)
    for key, values in expected.items():
        known = {name: value for name, value in values.items() if value is not None}
        assert set(found[key]) == set(known), key
        for name, value in known.items():
            assert isclose(found[key][name], value, rel_tol=1e-9, abs_tol=1e-9), (key, name, found[key][name], value)


def check(case: Case) -> None:
    cutoffs = tuple(sorted({1, (case.cutoff + 1) // 2, case.cutoff}))
    assert_same(figures(case, cutoffs), metrics(case, answers(case)[0], cutoffs))


@given(cases())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_every_metric_of_every_query_equals_the_brute_force(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("span", [0, 1, 3])
def test_a_parallel_corpus_with_graded_golds(span: int) -> None:
    langs = ("en", "de", "hi")
    docs, queries = parallel(langs, 12), parallel(langs, 6, "q")
    qrels = [
        Qrel(query.id, grade, f"g{(i // 3 + grade) % 12}") for i, query in enumerate(queries) for grade in (1, 2, 4)
    ]
    check(make_case(docs, queries, qrels, span=span, cutoff=10))


@given(cases(), st.integers(1, 60))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_pools_taken_some_at_a_time_give_the_same_bits(case: Case, rows: int) -> None:
    found, queries = measure(case), asked(case)
    whole = per_query(found.ranks, found.top, queries, (1, 3))
    with tempfile.TemporaryDirectory() as folder, patch.object(pieces, "ROWS", rows):
        place = Path(folder)
        found.ranks.write_parquet(place / "ranks.parquet", row_group_size=7)
        found.top.write_parquet(place / "topk.parquet", row_group_size=5)
        measured = measure_ranks(place, queries, (1, 3), place / "queries.parquet")
        table = pl.read_parquet(place / "queries.parquet")
    assert_frame_equal(table, whole.rename({"pivot_share": "english"}), check_exact=True)
    # not a number is not equal to itself
    assert repr(measured.metrics) == repr(tuple(aggregate(whole, units((1, 3)))))


def test_every_column_has_a_unit_and_every_unit_a_column() -> None:
    docs, queries = parallel(("en", "de"), 5), parallel(("en", "de"), 2, "q")
    case = make_case(docs, queries, [Qrel(query.id, 1, query.group) for query in queries])
    assert set(table_of(case, (1, 3)).columns) == {*QUERY, "share", *SAMPLED, *units((1, 3))}


# --- against ir_measures ---------------------------------------------------------------------------------------------


def listed(docs: list[Text], orders: dict[Text, list[str]], qrels: list[Qrel], cutoff: int = 10) -> Case:
    """A case in which each query scores the documents in this order, best first, without ties; the rest come after."""
    vectors = {}
    for i, query in enumerate(orders):
        vectors[query.id] = tuple(int(i == j) for j in range(len(orders)))
    full = [order + [doc.id for doc in docs if doc.id not in order] for order in orders.values()]
    for doc in docs:
        vectors[doc.id] = tuple(len(docs) - order.index(doc.id) for order in full)
    langs = tuple(lang for lang in LANGS if any(doc.lang == lang for doc in docs))
    return Case(langs, tuple(docs), tuple(orders), tuple(qrels), vectors, cutoff)


@pytest.mark.parametrize("seed", range(3))
def test_ir_measures_gives_the_same_figures(seed: int) -> None:
    rng = random.Random(seed)
    docs = [doc for doc in parallel(("en", "de", "hi"), 25) if rng.random() < 0.95]
    queries = parallel(("en", "de", "hi"), 8, "q")
    orders = {query: rng.sample([doc.id for doc in docs], len(docs)) for query in queries}
    qrels = [Qrel(query.id, rng.randint(0, 3), f"g{g}") for query in queries for g in rng.sample(range(25), 4)]
    qrels += [Qrel(query.id, 1, query.group) for query in queries]
    case = listed(docs, orders, qrels)
    names = {
        nDCG @ 3: "ndcg@3",
        nDCG @ 10: "ndcg@10",
        R @ 3: "recall@3",
        R @ 10: "recall@10",
        RR: "mrr",
        Success @ 1: "acc@1",
    }
    mine, compared = figures(case, (3, 10)), 0
    for one in answers(case)[0]:
        judged = [ir_measures.Qrel(one.query.id, gold["doc_id"], gold["grade"]) for gold in one.golds]
        run = [ir_measures.ScoredDoc(one.query.id, row["doc_id"], row["score"]) for row in one.listed]
        for found in ir_measures.iter_calc(list(names), judged, run):
            assert mine[one.key][names[found.measure]] == pytest.approx(found.value, abs=1e-9), (one.key, found.measure)
            compared += 1
    assert compared > 1000


# --- by hand ---------------------------------------------------------------------------------------------------------

DE, EN = Text("de/q", "q", "de"), Text("en/q", "q", "en")
FOUR = [Text(f"{lang}/{group}", group, lang) for lang in ("en", "de") for group in "abcd"]
BOTH = [Qrel("de/q", 1, "a"), Qrel("en/q", 1, "a")]
# golds are en/a and de/a
HAND = listed(
    FOUR,
    {DE: ["de/b", "de/a", "en/c", "en/b", "en/a"], EN: ["en/a", "de/c", "de/a", "en/c", "en/b"]},
    BOTH,
)


def approx(values: Values) -> object:
    return pytest.approx(values, abs=5e-7)


def test_multi_by_hand() -> None:
    """The German query: golds at ranks 2 (German) and 5 (English) of 8 documents, 6 of them unrelated."""
    found = figures(HAND, (1, 3, 5))
    assert found["multi", "de", "de", "de/q"] == approx(
        {
            "max_at_r": 5,
            "max_at_r_norm": 33.903595,  # 100 (log2 8 - log2 5) / (log2 8 - log2 2) = 100 (3 - 2.321928) / 2
            "mrr": 0.5,
            "acc@1": 0,
            "complete@3": 0,
            "complete@5": 1,
            "recall@1": 0,
            "recall@3": 0.5,
            "recall@5": 1,
            "ndcg@1": 0,
            "ndcg@3": 0.386853,  # (1 / log2 3) / (1 + 1 / log2 3) = 0.630930 / 1.630930
            "ndcg@5": 0.624051,  # (1 / log2 3 + 1 / log2 6) / 1.630930 = (0.630930 + 0.386853) / 1.630930
            "tlr@1": 0,
            "tlr@3": 0,
            "tlr@5": 1,  # the English gold is at rank 5
            "lpr": 1,  # the German one is ahead
            "rank_distance": 3,  # 5 - 2
            "pull(x)": -0.5,  # above de/a: de/b, so English has 0 of 1; it has 3 of the 6 unrelated
            "pull(en)": 1 / 6,  # above en/a: de/b, en/c, en/b: 2 / 3 - 3 / 6
            # en/a comes later: of the 20 ways to draw 3 of 3 + 3, 10 have fewer than 2 English ones and 1 more
            "inclination": 0.45,
            "unrelated_first(en)": 0,
            "unrelated_first(x)": 1,  # de/b
            "quadrant(right,query)": 0,
            "quadrant(right,other)": 0,
            "quadrant(wrong,query)": 1,  # de/b
            "quadrant(wrong,other)": 0,
            "english_share@1": -0.5,  # 0 of 1, the pool 4 of 8
            "english_share@3": -1 / 6,  # 1 of 3
            "english_share@5": 0.1,  # 3 of 5
        }
    )


def test_language_gap_and_list_correlation_by_hand() -> None:
    """The English query finds the golds at ranks 1 and 3, the German one at 2 and 5."""
    found = figures(HAND, (1, 3))["multi", None, "de", "de/q"]
    assert found == approx(
        {
            "language_gap(max_at_r)": -2,  # 3 - 5
            "language_gap(max_at_r_norm)": 36.848280,  # 100 (log2 5 - log2 3) / 2 = 100 (2.321928 - 1.584963) / 2
            "language_gap(mrr)": 0.5,
            "language_gap(acc@1)": 1,
            "language_gap(complete@3)": 1,
            "language_gap(ndcg@1)": 1,
            "language_gap(ndcg@3)": 0.532868,  # (1 + 1 / 2) / 1.630930 - 0.386853 = 0.919721 - 0.386853
            "language_gap(recall@1)": 0.5,
            "language_gap(recall@3)": 0.5,
            "mrc@1": -1,  # de/b: 1, absent 2; en/a: absent 2, 1
            # union de/b de/a en/c en/a de/c; German ranks 1 2 3 4 4, English 4 3 4 1 2; with ties shared
            # 1 2 3 4.5 4.5 and 4.5 3 4.5 1 2, about their mean 3: sum of products
            # -2 * 1.5 - 1 * 0 + 0 * 1.5 - 1.5 * 2 - 1.5 * 1 = -7.5, both sums of squares 9.5
            "mrc@3": -0.789474,
        }
    )


def test_distractor_by_hand() -> None:
    """Its pool is the 4 German documents and the 3 English ones that do not say the same as the gold."""
    found = figures(HAND, (3,))["distractor", "de", "de", "de/q"]
    assert found["inclination_rate"] == 0  # de/b alone is above de/a
    assert found["inclination_rate(neutral)"] == pytest.approx(0.5)  # one of the 3 English and 3 German ones
    assert found["inclination"] == pytest.approx(-0.5)  # no English one: half of the draws have more
    assert found["pull(x)"] == -0.5  # 0 / 1 - 3 / 6
    assert found["max_at_r_norm"] == pytest.approx(64.379281, abs=5e-6)  # 100 (2.807355 - 1) / 2.807355
    assert found["english_share@3"] == pytest.approx(1 / 3 - 3 / 7)  # de/b, de/a, en/c
    inclined = listed(FOUR, {DE: ["en/a", "en/b", "en/c", "de/d", "de/a"], EN: []}, BOTH)
    found = figures(inclined, (3,))["distractor", "de", "de", "de/q"]
    assert found["inclination_rate"] == 1
    assert found["max_at_r"] == 4  # en/a, the gold's own translation, is not in the pool
    assert found["pull(x)"] == pytest.approx(1 / 6)  # en/b, en/c of three: 2 / 3 - 3 / 6
    assert found["english_share@3"] == pytest.approx(2 / 3 - 3 / 7)


def test_the_golds_own_translation_is_no_inclination() -> None:
    case = listed(FOUR, {DE: ["en/a", "de/a", "en/b"], EN: ["en/a"]}, BOTH)
    found = figures(case, (1,))
    assert found["distractor", "de", "de", "de/q"]["inclination_rate"] == 0
    # nothing unrelated outranks: no pull rather than a pull of 0
    assert "pull(x)" not in found["distractor", "de", "de", "de/q"]
    multi = found["multi", "de", "de", "de/q"]
    assert "pull(x)" not in multi and "pull(en)" not in multi
    assert (multi["lpr"], multi["rank_distance"], multi["max_at_r_norm"]) == (0, 1, 100)
    assert multi["quadrant(right,other)"] == 1


def test_the_best_gold_decides_about_inclination() -> None:
    """Two golds: nothing English is above the first, two are above the second."""
    qrels = [Qrel("de/q", 1, "a"), Qrel("de/q", 1, "b"), Qrel("en/q", 1, "a")]
    case = listed(FOUR, {DE: ["de/a", "en/c", "en/d", "de/b"], EN: []}, qrels)
    found = figures(case, (1,))["distractor", "de", "de", "de/q"]
    assert found["inclination_rate"] == 0
    assert found["pull(x)"] == 0.5  # pooled over both: 2 of the 2 above; English has 2 of the 4 unrelated
    assert found["max_at_r_norm"] == pytest.approx(
        100 * (2.584963 - 2) / (2.584963 - 1)
    )  # 6 documents, 2 golds, rank 4


def test_all_equal_scores_are_the_worst_case_and_no_preference() -> None:
    case = replace(HAND, vectors=dict.fromkeys(HAND.vectors, (1,)))
    found = figures(case, (1, 3))
    multi = found["multi", "de", "de", "de/q"]
    assert (multi["max_at_r"], multi["max_at_r_norm"], multi["lpr"], multi["rank_distance"]) == (8, 0, 0.5, 1)
    assert multi["pull(x)"] == multi["pull(en)"] == 0
    assert found["multi", None, "de", "de/q"]["mrc@3"] == 1
    assert found["multi", None, "de", "de/q"]["language_gap(ndcg@3)"] == 0
    assert found["distractor", "de", "de", "de/q"]["inclination_rate"] == 1


def test_a_pool_of_golds_alone_is_perfect() -> None:
    case = listed([Text("en/a", "a", "en"), Text("de/a", "a", "de")], {DE: ["en/a", "de/a"], EN: []}, BOTH)
    found = figures(case, (1,))
    assert found["multi", "de", "de", "de/q"]["max_at_r_norm"] == 100
    assert found["mono", "de", "de", "de/q"]["max_at_r_norm"] == 100
    assert found["distractor", "de", "de", "de/q"]["max_at_r_norm"] == 100


def test_graded_golds_by_hand() -> None:
    """Grades 3 and 1 at ranks 2 and 1 of the German pool: trec_eval's gain is the grade itself."""
    qrels = [Qrel("de/q", 3, doc="de/a"), Qrel("de/q", 1, doc="de/b"), Qrel("en/q", 1, "a")]
    found = figures(listed(FOUR, {DE: ["de/b", "de/a"], EN: []}, qrels), (1, 3))["mono", "de", "de", "de/q"]
    assert found["ndcg@1"] == pytest.approx(1 / 3)
    assert found["ndcg@3"] == pytest.approx(
        0.796708, abs=5e-7
    )  # (1 + 3 / log2 3) / (3 + 1 / log2 3) = 2.892789 / 3.630930


def test_nway_by_hand() -> None:
    """Three versions at ranks 1 (German), 2 (Hindi), 4 (English); a Hindi query."""
    docs = [Text(f"{lang}/{group}", group, lang) for lang in ("en", "de", "hi") for group in "ab"]
    hindi = Text("hi/q", "q", "hi")
    case = listed(docs, {hindi: ["de/a", "hi/a", "en/b", "en/a"]}, [Qrel("hi/q", 1, "a")])
    found = figures(case, (2, 3))["nway", "hi", None, "hi/q"]
    assert found["max_at_r"] == 4
    assert found["max_at_r_norm"] == pytest.approx(58.496250, abs=5e-6)  # 100 (log2 6 - 2) / (log2 6 - log2 3)
    assert found["lpr"] == 0.5  # behind the German, ahead of the English one
    assert (found["tlr@2"], found["tlr@3"]) == (0.5, 0.5)  # the German one of the two others
    assert (found["quadrant(right,other)"], found["quadrant(right,query)"]) == (1, 0)
    assert found["english_share@3"] == pytest.approx(0)  # 1 of 3, the pool 2 of 6
    assert not {"rank_distance", "pull(x)", "pull(en)"} & set(found)


def test_identical_lists_correlate_fully_and_reversed_ones_inversely() -> None:
    order = ["en/a", "de/a", "en/b", "de/b", "en/c", "de/c", "en/d", "de/d"]
    same = figures(listed(FOUR, {DE: order, EN: order}, BOTH), (1, 8))["multi", None, "de", "de/q"]
    assert (same["mrc@1"], same["mrc@8"]) == (1, 1)
    turned = figures(listed(FOUR, {DE: order, EN: order[::-1]}, BOTH), (1, 8))["multi", None, "de", "de/q"]
    assert turned["mrc@8"] == pytest.approx(-1)


def test_only_parallel_queries_that_both_were_asked_are_compared() -> None:
    other = Text("de/q2", "q2", "de")
    case = listed(FOUR, {DE: [], EN: [], other: []}, [*BOTH, Qrel("de/q2", 1, "b")])
    paired = [key for key in figures(case, (1,)) if key[1] is None]
    assert paired == [("multi", None, "de", "de/q")]
    unanswered = replace(case, qrels=(BOTH[0], Qrel("en/q", 1, doc="en/a"), case.qrels[2]))
    assert not [key for key in figures(unanswered, (1,)) if key[1] is None]


def test_a_ranking_that_could_ask_nothing_has_no_figures(tmp_path: Path) -> None:
    case = listed(FOUR, {DE: ["de/a"], EN: []}, [Qrel("de/q", 1, doc="de/a")])
    found = measure(case, scenarios=("cross",))
    assert found.ranks.is_empty()
    found.ranks.write_parquet(tmp_path / "ranks.parquet")
    found.top.write_parquet(tmp_path / "topk.parquet")
    assert measure_ranks(tmp_path, asked(case), (1,), tmp_path / "queries.parquet").metrics == ()
    empty = per_query(found.ranks, found.top, asked(case), (1,)).rename({"pivot_share": "english"})
    assert pl.read_parquet(tmp_path / "queries.parquet").equals(empty)
