"""Ranks and top lists of every scenario equal those of a brute force that writes each pool out and sorts it."""

import random
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from brute_force import Answer, Case, Qrel, Row, Text, answers
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pools_case import Measured, cases, make_case, measure, parallel

from clir_core.corpus.tables import Skipped
from clir_core.errors import CorpusError, SpecError
from clir_core.rank import batches
from clir_core.rank.pools import describe
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.scenarios.pool import bucket_of

POOL = ["scenario", "lang", "query_lang"]


def expected_ranks(found: list[Answer]) -> list[Row]:
    return [_of_pool(one) | {"share": one.pool.share} | gold for one in found for gold in one.golds]


def expected_top(case: Case, found: list[Answer]) -> list[Row]:
    answered = [one for one in found if one.pool.share is None]
    return [_of_pool(one) | row for one in answered for row in one.listed[: case.cutoff]]


def _of_pool(one: Answer) -> Row:
    pool = one.pool
    return {"scenario": pool.scenario, "lang": pool.lang, "query_lang": pool.query_lang}


def assert_same(found: pl.DataFrame, rows: list[Row], *keys: str) -> None:
    """Same columns and rows, whatever their order; a language outside the pool has no count, which is a 0 here."""
    assert all(set(found.columns) == set(row) for row in rows)
    expected = pl.DataFrame([[row[name] for name in found.columns] for row in rows], schema=found.schema, orient="row")
    found, expected = (
        frame.with_columns(pl.col("^outranking_.*$").fill_null(0)).sort(*POOL, *keys, nulls_last=True)
        for frame in (found, expected)
    )
    assert_frame_equal(found, expected, check_exact=True)


def check(case: Case, **how: Any) -> Measured:
    """The library's ranks, top lists and skipped queries are the brute force's; `how` is for `measure`."""
    found, skipped = answers(case)
    measured = measure(case, **how)
    assert_same(measured.ranks, expected_ranks(found), "query_id", "doc_id")
    assert_same(measured.top, expected_top(case, found), "query_id", "position")
    given = [one for one in measured.ranked.skipped if one.what not in ("queries", "documents")]
    assert {_skipped_key(one): one.count for one in given} == {key: len(ids) for key, ids in skipped.items()}
    for one in given:
        assert set(one.examples) <= set(skipped[_skipped_key(one)])
    return measured


def _skipped_key(one: Skipped) -> tuple[str, str, str | None]:
    query_lang, _, _, scenario, *rest = one.what.split()
    return scenario, query_lang, rest[1] if rest else None


@given(cases())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_ranks_and_top_lists_equal_a_full_sort_of_every_pool(case: Case) -> None:
    check(case)


def with_own_documents(case: Case) -> Case:
    """The same case, whose queries have the ids of documents of their language, as far as there are some."""
    left = {lang: [doc.id for doc in case.docs if doc.lang == lang] for lang in case.languages}
    names = {query.id: left[query.lang].pop() if left[query.lang] else query.id for query in case.queries}
    return replace(
        case,
        queries=tuple(replace(query, id=names[query.id]) for query in case.queries),
        qrels=tuple(replace(qrel, query=names[qrel.query]) for qrel in case.qrels),
    )


@given(cases().map(with_own_documents))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_querys_own_document_is_in_none_of_its_pools(case: Case) -> None:
    """Nor are its translations, but what is relevant stays; the brute force takes them out before it ranks."""
    measured = check(case)
    own = {query.id for query in case.asked} & {doc.id for doc in case.docs}
    (counted,) = [one.count for one in measured.ranked.skipped if one.what == "documents"] or [0]
    assert counted == len(own)
    relevant = {(query.id, doc) for query in case.asked for doc in case.golds[query.id]}
    listed = set(measured.top.select("query_id", "doc_id").iter_rows())
    assert not {(one, one) for one in own} & (listed - relevant)


@given(cases())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_golds_rank_is_its_position_where_the_whole_pool_is_listed(case: Case) -> None:
    """Few values, so that most scores tie: with unrelated documents, with translations and with other golds."""
    measured = measure(replace(case, cutoff=len(case.docs)))
    listed = measured.ranks.filter(pl.col("share").is_null())
    keys = ["scenario", "lang", "query_lang", "query_id", "doc_id"]
    found = listed.join(measured.top, on=keys, how="left", nulls_equal=True)
    assert len(found) == len(listed) and found["rank"].equals(found["position"].alias("rank"))


@pytest.mark.parametrize("languages", [("en", "hi"), ("en", "hi", "de"), ("en", "zh", "hi", "de")])
def test_neither_the_order_nor_the_number_of_languages_decides_a_tie(languages: tuple[str, ...]) -> None:
    docs, queries = parallel(("en", "de", "hi", "zh"), 9), parallel(("en", "de", "hi", "zh"), 20, "q")
    case = make_case(docs, queries, [Qrel(q.id, 1, f"g{i // 4 % 9}") for i, q in enumerate(queries)], span=1, cutoff=18)
    one, other = measure(case, scenarios=("multi",)), measure(replace(case, languages=languages), scenarios=("multi",))
    assert one.ranked.gold_ties > 9
    for name in ("ranks", "top"):
        whole, part = (getattr(found, name).filter(lang="hi") for found in (one, other))
        assert whole.select(part.columns).equals(part) and len(part)


@given(cases(), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_blocks_of_any_size_in_any_order_give_the_same_frames(case: Case, block: int, shuffle: int) -> None:
    whole, cut = measure(case), measure(case, block, shuffle)
    assert whole.ranks.equals(cut.ranks)
    assert whole.top.equals(cut.top)
    assert whole.ranked == cut.ranked


@given(cases(), st.integers(0, 3000), st.integers(1, 3000))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_batches_and_row_groups_of_any_size_give_the_same_frames(case: Case, batch: int, chunk: int) -> None:
    whole = measure(case)
    with patch.multiple(batches, CHUNK_BYTES=chunk):
        cut = measure(case, 3, 1, batch=batch)
    assert whole.ranks.equals(cut.ranks)
    assert whole.top.equals(cut.top)
    assert whole.ranked == cut.ranked  # ties that two batches see count once


@given(cases(), st.integers(0, 99))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_the_order_of_the_corpus_rows_changes_nothing(case: Case, shuffle: int) -> None:
    rng = random.Random(shuffle)
    mixed = {name: tuple(rng.sample(rows := getattr(case, name), len(rows))) for name in ("docs", "queries", "qrels")}
    one, other = measure(case), measure(replace(case, **mixed))
    assert one.ranks.equals(other.ranks)
    assert one.top.equals(other.top)
    assert describe(one.plan) == describe(other.plan)


@given(cases())
@settings(max_examples=10, deadline=None, derandomize=True)
def test_share_0_is_mono(case: Case) -> None:
    ranks = measure(case, scenarios=("mono", "share")).ranks
    columns = ["lang", "query_id", "doc_id", "rank", "ties", "pool_size", "unrelated"]
    mono = ranks.filter(pl.col("scenario") == "mono", pl.col("lang") != "en").select(columns)
    assert mono.sort(columns).equals(ranks.filter(pl.col("scenario") == "share(0.0)").select(columns).sort(columns))


@given(cases(), st.integers(1, 5))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_the_seed_moves_documents_between_buckets_only(case: Case, seed: int) -> None:
    scenarios = ("mono", "cross", "multi", "distractor", "nway")
    one, other = (measure(replace(case, seed=case.seed + more), scenarios=scenarios).ranks for more in (0, seed))
    # of one language's golds with one score, the bucket decides which has which of their places
    golds = [*POOL, "query_id", "gold_lang", "score"]
    assert (
        one.drop("doc_id", "group_id", "grade")
        .sort(*golds, "rank")
        .equals(other.drop("doc_id", "group_id", "grade").sort(*golds, "rank"))
    )
    keys = [*POOL, "query_id", "doc_id"]
    assert one.drop("rank").sort(keys).equals(other.drop("rank").sort(keys))


def test_a_parallel_corpus_keeps_the_pools_size_at_every_share() -> None:
    docs = parallel(("en", "de", "hi"), 40)
    queries = parallel(("en", "de", "hi"), 7, "q")
    qrels = [Qrel(query.id, 1, group=group) for query in queries for group in (query.group, "g39")]
    ranks = check(make_case(docs, queries, qrels)).ranks.filter(pl.col("scenario").str.starts_with("share"))
    assert ranks["scenario"].n_unique() == 10
    assert ranks["pool_size"].unique().to_list() == [40]
    # a bucket moves from one language to the other: English grows to all of the first nine buckets
    most = sum(bucket_of(f"g{i}", 0) < 9 for i in range(40))
    largest = ranks.filter(pl.col("scenario") == "share(0.9)", pl.col("query_id") == "de/q0")
    own = sum(bucket_of(group, 0) < 9 for group in ("g0", "g39"))
    assert largest["unrelated_en"].unique().to_list() == [most - own]


LONE = [Text("en/d0", "g0", "en"), Text("de/d0", "g0", "de")]


@pytest.mark.parametrize("span", [0, 1, 3])
@pytest.mark.parametrize(
    ("docs", "qrels"),
    [
        pytest.param(LONE, [Qrel("en/q0", 1, "g0"), Qrel("de/q0", 1, "g0")], id="one document a language"),
        pytest.param(LONE[1:], [Qrel("en/q0", 1, "g0"), Qrel("de/q0", 1, "g0")], id="no English document"),
        pytest.param(LONE[:1], [Qrel("en/q0", 1, "g0"), Qrel("de/q0", 1, "g0")], id="English documents only"),
        pytest.param(LONE, [Qrel("de/q0", 1, doc="en/d0")], id="only a document in the other language is relevant"),
        pytest.param(
            parallel(("en", "de"), 30),
            [Qrel(q, 1, f"g{i}") for q in ("en/q0", "de/q0") for i in range(30)],
            id="every document is relevant",
        ),
        pytest.param(
            parallel(("en", "de", "hi"), 9),
            [
                Qrel("de/q0", 1, doc="de/d3"),
                Qrel("de/q0", 2, doc="hi/d3"),
                Qrel("de/q0", 1, "g5"),
                Qrel("en/q0", 1, doc="en/d3"),
            ],
            id="documents are relevant, their translations are not",
        ),
        pytest.param(
            parallel(("en", "de"), 9),
            [
                Qrel("de/q0", 1, "g2"),
                Qrel("de/q0", 3, "g2"),
                Qrel("de/q0", 2, doc="de/d2"),
                Qrel("de/q0", 0, doc="en/d2"),
            ],
            id="judged again: the best grade counts",
        ),
        pytest.param(
            [*parallel(("en", "de", "hi"), 6), *(Text(f"de/alone{i}", f"alone{i}", "de") for i in range(20))],
            [Qrel("de/q0", 1, "g1"), Qrel("de/q0", 1, "alone7"), Qrel("en/q0", 1, "g1"), Qrel("hi/q0", 1, "alone7")],
            id="a corpus that is not parallel",
        ),
        pytest.param(
            parallel(("en", "de", "hi"), 300),
            [Qrel(f"{lang}/q0", 1, f"g{i}") for lang in ("en", "de", "hi") for i in (0, 255, 256, 299)],
            id="more documents than a tile",
        ),
    ],
)
def test_awkward_corpora(docs: list[Text], qrels: list[Qrel], span: int) -> None:
    queries = [Text(f"{lang}/q0", "q0", lang) for lang in ("en", "de", "hi")]
    check(make_case(docs, queries, qrels, span=span, cutoff=5))


def test_more_queries_than_a_tile() -> None:
    docs, queries = parallel(("en", "de"), 7), parallel(("en", "de"), 300, "q")
    qrels = [Qrel(query.id, 1, f"g{i % 7}") for i, query in enumerate(queries)]
    check(make_case(docs, queries, qrels, span=1))


def test_a_query_that_a_pool_cannot_be_asked_is_listed_with_the_reason() -> None:
    docs = [text for text in parallel(("en", "de", "hi"), 3) if text.id != "hi/d1"]
    queries = parallel(("en", "de"), 3, "q")
    measured = check(make_case(docs, queries, [Qrel(query.id, 1, query.group) for query in queries]))
    assert [one for one in measured.ranked.skipped if one.what.startswith("de")] == [
        Skipped(
            what="de queries of nway",
            reason="not every relevant document has a version in en and de and hi",
            count=1,
            examples=("de/q1",),
        )
    ]
    english = {one.what: (one.reason, one.count) for one in measured.ranked.skipped if one.what.startswith("en")}
    assert english["en queries of cross with hi"] == ("no relevant document in hi", 1)
    assert english["en queries of multi with hi"] == ("not every relevant document has a version in en and hi", 1)


def test_a_query_without_a_gold_in_the_audited_languages_is_in_no_pool() -> None:
    docs = [*parallel(("en", "de"), 3), Text("hi/d9", "g9", "hi")]
    queries = [Text("de/q0", "q0", "de"), Text("de/q1", "q1", "de")]
    case = make_case(docs, queries, [Qrel("de/q0", 1, "g0"), Qrel("de/q1", 1, "g9")])
    measured = check(replace(case, languages=("en", "de")))
    assert measured.ranks["query_id"].unique().to_list() == ["de/q0"]
    assert [(one.what, one.count, one.examples) for one in measured.ranked.skipped] == [("queries", 1, ("de/q1",))]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_scenario_by_itself_gives_the_same_rows(scenario: ScenarioName) -> None:
    docs, queries = parallel(("en", "de", "hi"), 8), parallel(("en", "de", "hi"), 3, "q")
    case = make_case(docs, queries, [Qrel(query.id, 1, query.group) for query in queries])
    everything, alone = measure(case), measure(case, scenarios=(scenario,))
    own = everything.ranks.filter(pl.col("scenario").str.starts_with(scenario))
    assert alone.ranks.equals(own.select(alone.ranks.columns))
    assert alone.top.equals(everything.top.filter(pl.col("scenario") == scenario))


def test_pools_are_described_by_the_documents_that_every_query_shares() -> None:
    docs = [text for text in parallel(("en", "de"), 30) if text.id not in ("en/d3", "en/d4")]
    case = make_case(docs, parallel(("en", "de"), 2, "q"), [Qrel("de/q0", 1, "g0"), Qrel("en/q0", 1, "g0")], seed=1)
    found = {(pool.scenario, pool.query_lang): pool for pool in describe(measure(case).plan)}
    assert found["mono", "en"].sizes == {"en": 28}
    assert found["cross", "en"].sizes == {"de": 30}
    assert found["multi", "de"].sizes == found["distractor", "de"].sizes == {"en": 28, "de": 30}
    english = sum(bucket_of(doc.group, 1) < 3 for doc in docs if doc.lang == "en")
    german = sum(bucket_of(doc.group, 1) >= 3 for doc in docs if doc.lang == "de")
    assert found["share(0.3)", "de"].sizes == {"en": english, "de": german}
    assert (found["share(0.3)", "de"].share, found["share(0.3)", "de"].seed) == (0.3, 1)
    # the same documents have the same hash, whoever asks
    assert found["multi", "de"].documents_sha256 == found["multi", "en"].documents_sha256
    assert len({found[key].documents_sha256 for key in [("mono", "en"), ("mono", "de"), ("multi", "de")]}) == 3


def real_case(n_docs: int, n_queries: int, langs: tuple[str, ...], dim: int = 384) -> Case:
    """A parallel corpus with normalised float32 vectors; translations lie near one another, queries near golds."""
    rng = np.random.default_rng(5)
    docs, queries = parallel(langs, n_docs), parallel(langs, n_queries, "q")
    meaning = {f"g{i}": rng.standard_normal(dim) for i in range(n_docs)}
    vectors = {}
    for text in (*docs, *queries):
        vector = meaning[text.group] + 3 * rng.standard_normal(dim)
        vectors[text.id] = (vector / np.linalg.norm(vector)).astype(np.float32)
    qrels = [Qrel(query.id, 1, query.group) for query in queries]
    return Case(langs, tuple(docs), tuple(queries), tuple(qrels), vectors, 10, 0)


@pytest.fixture(scope="module")
def real() -> Case:
    return real_case(700, 290, ("en", "de", "hi"))


@pytest.mark.parametrize(("block", "shuffle"), [(700, 1), (512, 2), (97, 3), (257, None)])
def test_real_vectors_give_the_same_bits_in_blocks_of_any_size(real: Case, block: int, shuffle: int | None) -> None:
    whole, cut = measure(real), measure(real, block, shuffle)
    assert whole.ranks.equals(cut.ranks)
    assert whole.top.equals(cut.top)


def test_ranks_of_real_vectors_lie_within_what_float64_allows(real: Case) -> None:
    ranks = measure(real, scenarios=("multi",)).ranks.filter(pl.col("query_lang") == "de", pl.col("lang") == "de")
    docs = [doc.id for doc in real.docs if doc.lang in ("en", "de")]
    docs_DH = np.array([real.vectors[doc] for doc in docs], np.float64)
    for row in ranks.sample(200, seed=0).iter_rows(named=True):
        scores_D = docs_DH @ real.vectors[row["query_id"]].astype(np.float64)
        gold = scores_D[docs.index(row["doc_id"])]
        assert np.sum(scores_D > gold + 1e-6) < row["rank"] <= np.sum(scores_D >= gold - 1e-6)


@pytest.mark.parametrize("block", [8192, 100, 33])
def test_a_copy_of_the_gold_ties_to_the_last_bit_wherever_it_lies(real: Case, block: int) -> None:
    copies = [Text(f"{lang}/copy{i}", f"copy{i}", lang) for lang in ("en", "de") for i in range(20)]
    vectors = real.vectors | {copy.id: real.vectors["de/d0"] for copy in copies}
    query, gold = Text("de/copied", "copied", "de"), Qrel("de/copied", 1, doc="de/d0")
    vectors[query.id] = real.vectors["de/q0"]
    docs, queries, qrels = (*real.docs, *copies), (*real.queries, query), (*real.qrels, gold)
    case = replace(real, docs=docs, queries=queries, qrels=qrels, vectors=vectors)
    ranks = measure(case, block, 0, ("mono", "distractor")).ranks.filter(pl.col("query_id") == "de/copied")
    before = measure(real, block, 0, ("mono",)).ranks.filter(pl.col("query_id") == "de/q0")
    assert ranks["ties"].to_list() == [20, 40]
    assert ranks["rank"][0] == before["rank"][0] + 20


def test_scenarios_that_need_a_second_language_say_so() -> None:
    docs, queries = parallel(("en",), 3), parallel(("en",), 2, "q")
    case = make_case(docs, queries, [Qrel(query.id, 1, query.group) for query in queries])
    with pytest.raises(SpecError, match="need a language beside English"):
        measure(case, scenarios=("multi", "share"))


def test_a_corpus_whose_queries_have_no_gold_in_the_languages_says_so() -> None:
    docs, queries = parallel(("en", "de"), 3), parallel(("de",), 1, "q")
    case = make_case(docs, queries, [Qrel(query.id, 0, query.group) for query in queries])
    with pytest.raises(CorpusError, match="no query has a relevant document"):
        measure(case)
