"""Clusters of queries: by hand, against a search along edges, and in the words of what cannot cluster them."""

import random
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.audit.spec import AuditSpec
from clir_core.corpus.clusters import PASSAGE, cluster_queries
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.errors import CorpusError, SpecError
from clir_core.sources import read_corpus

# a query and its group, what it is judged for (a group, or a document where there is a slash), the grade
Judged = tuple[str, str, str, int]


def corpus_of(judged: list[Judged], **columns: dict[str, str | None]) -> Corpus:
    """Documents lang/group of every group in English and German; further columns say each query's value."""
    groups = sorted({target.rpartition("/")[2] for _, _, target, _ in judged})
    documents = [
        {"doc_id": f"{lang}/{group}", "group_id": group, "lang": lang, "text": "t", "title": None}
        for lang in ("en", "de")
        for group in groups
    ]
    groups_of = {query: group for query, group, _, _ in judged}
    queries = [
        {"query_id": query, "group_id": group, "lang": query[:2], "text": "?"}
        | {name: values.get(query) for name, values in columns.items()}
        for query, group in groups_of.items()
    ]
    qrels = [
        {"query_id": query, "doc_id" if "/" in target else "group_id": target, "grade": grade}
        for query, _, target, grade in judged
    ]
    further = [pa.field(name, pa.string()) for name in columns]
    return Corpus(
        "hand",
        pa.Table.from_pylist(documents, DOCUMENTS),
        pa.Table.from_pylist(queries, pa.schema([*QUERIES, *further])),
        pa.Table.from_pylist(qrels, QRELS),
    )


def clusters_of(corpus: Corpus, unit: str) -> dict[str, int]:
    found = cluster_queries(corpus, unit)
    assert found.schema == {"query_id": pl.String, "cluster": pl.Int32}
    assert found["query_id"].is_sorted()
    return dict(found.rows())


# two questions of passage p in two languages, one that a document of p answers too, one apart, one that grade 0 ties
HAND: list[Judged] = [
    ("en/a", "a", "p", 1),
    ("de/a", "a", "p", 1),
    ("en/b", "b", "p", 2),
    ("de/c", "c", "en/p", 1),
    ("de/c", "c", "r", 1),
    ("en/d", "d", "r", 1),
    ("en/e", "e", "s", 1),
    ("en/e", "e", "p", 0),
    ("de/f", "f", "t", 1),
    ("en/f", "f", "u", 1),
]


def test_queries_that_share_a_passage_are_one_cluster_through_others_as_well() -> None:
    # d shares r with c, and c shares p, by one of its documents, with a and b; f's two passages are of parallel queries
    expected = {"de/a": 0, "en/a": 0, "en/b": 0, "de/c": 0, "en/d": 0, "de/f": 1, "en/f": 1, "en/e": 2}
    assert clusters_of(corpus_of(HAND), "passage") == expected


def test_queries_by_themselves_are_with_their_parallel_ones() -> None:
    expected = {"de/a": 0, "en/a": 0, "de/c": 1, "de/f": 2, "en/f": 2, "en/b": 3, "en/d": 4, "en/e": 5}
    assert clusters_of(corpus_of(HAND), "query") == expected


def test_a_column_puts_queries_of_one_value_together() -> None:
    values = {"en/a": "x", "de/a": "x", "en/b": "y", "de/c": "x", "en/d": "y", "en/e": "0", "de/f": "y", "en/f": "y"}
    expected = {"de/a": 0, "en/a": 0, "de/c": 0, "de/f": 1, "en/f": 1, "en/b": 1, "en/d": 1, "en/e": 2}
    assert clusters_of(corpus_of(HAND, author=values), "author") == expected


def test_the_default_of_a_spec_is_a_unit_of_every_corpus() -> None:
    assert AuditSpec().cluster == PASSAGE
    found = cluster_queries(read_corpus("demo", ["de"]), PASSAGE)
    assert found["cluster"].to_list() == [*range(72), *range(72)]  # a question a passage, in two languages
    topics = cluster_queries(read_corpus("demo", ["de"]), "topic")
    assert topics["cluster"].value_counts(sort=True)["count"].to_list() == [12] * 12


def searched(judged: list[Judged]) -> list[set[str]]:
    """Clusters by growing sets until nothing joins."""
    marks = {query: {f"query {group}"} for query, group, _, _ in judged}
    for query, _, target, grade in judged:
        if grade:
            marks[query].add(target.rpartition("/")[2])
    clusters: list[set[str]] = []
    left = set(marks)
    while left:
        cluster = {left.pop()}
        while True:
            held = set().union(*(marks[query] for query in cluster))
            more = {query for query in left if marks[query] & held}
            if not more:
                break
            cluster |= more
            left -= more
        clusters.append(cluster)
    return sorted(clusters, key=min)


@st.composite
def judgements(draw: st.DrawFn) -> list[Judged]:
    n = draw(st.integers(1, 12))
    query = st.tuples(st.sampled_from(["en", "de"]), st.integers(0, n))
    target = st.integers(0, n).flatmap(lambda p: st.sampled_from([f"p{p}", f"en/p{p}", f"de/p{p}"]))
    pairs = draw(st.lists(st.tuples(query, target, st.integers(0, 2)), min_size=1, max_size=2 * n))
    return [(f"{lang}/{q}", f"q{q}", goal, grade) for (lang, q), goal, grade in pairs]


@settings(max_examples=150, deadline=None)
@given(judgements(), st.randoms(use_true_random=False))
def test_passages_are_components_whatever_the_order_of_rows(judged: list[Judged], order: random.Random) -> None:
    corpus = corpus_of(judged)
    expected = {query: number for number, cluster in enumerate(searched(judged)) for query in cluster}
    assert clusters_of(corpus, "passage") == expected
    tables = {}
    for what in ("documents", "queries", "qrels"):
        rows = list(range(len(getattr(corpus, what))))
        order.shuffle(rows)
        tables[what] = getattr(corpus, what).take(pa.array(rows))
    assert clusters_of(replace(corpus, **tables), "passage") == expected


def test_an_unknown_unit_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SpecError) as caught:
        cluster_queries(corpus_of(HAND, author={}, year={}), "autor")
    assert str(caught.value) == (
        "cluster 'autor': the queries of corpus hand have no such column, beside its texts they have author, year; "
        "write one of query, passage, author, year"
    )
    with pytest.raises(SpecError, match=r"beside its texts they have none; write one of query, passage$"):
        cluster_queries(corpus_of(HAND), "autor")


def test_queries_that_a_column_cannot_place_are_all_named() -> None:
    values = {"en/a": "x", "de/a": "y", "en/b": " ", "en/d": "z", "en/e": "z", "de/f": "z", "en/f": "z"}
    with pytest.raises(CorpusError) as caught:
        cluster_queries(corpus_of(HAND, author=values), "author")
    assert str(caught.value).startswith("column 'author' of corpus hand cannot cluster its queries, problems: 3; ")
    assert caught.value.problems == (
        "query 'en/b' has no value; give it one",
        "query 'de/c' has no value; give it one",
        "query 'en/a' is of 'x', and its parallel query 'de/a' of 'y'; give both the same",
    )


def test_further_columns_are_no_part_of_the_fingerprint_and_stay_in_a_part() -> None:
    plain = corpus_of(HAND)
    more = corpus_of(HAND, author={query: "x" for query, *_ in HAND})
    assert more.fingerprint() == plain.fingerprint()
    assert set(more.restrict(["de", "en"]).queries["author"].to_pylist()) == {"x"}
    assert more.restrict(["de"]).queries.column_names == [*QUERIES.names, "author"]
