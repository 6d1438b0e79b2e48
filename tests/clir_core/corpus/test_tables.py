"""A corpus cut down to some languages, and the fingerprint that names it."""

from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_core.corpus.pivot import pivot_first
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.sources import read_corpus
from clir_core.sources.rows import RawRows


@pytest.fixture
def corpus() -> Corpus:
    """Group p in en, de, fr; single documents in de and fr; a query in each language."""
    rows = RawRows()
    for lang in ("en", "de", "fr"):
        rows.documents.add("f", 1, doc_id=f"{lang}/p", group_id="p", lang=lang, text="parallel")
        rows.queries.add("f", 1, query_id=f"{lang}/q", group_id="q", lang=lang, text="question")
        rows.qrels.add("f", 1, query_id=f"{lang}/q", group_id="p", grade=1)
    for lang in ("de", "fr"):
        rows.documents.add("f", 2, doc_id=f"{lang}/s", group_id=f"{lang}/s", lang=lang, text="single")
    rows.queries.add("f", 3, query_id="en/cross", group_id="en/cross", lang="en", text="which French?")
    rows.qrels.add("f", 3, query_id="en/cross", doc_id="fr/s", grade=1)
    rows.qrels.add("f", 4, query_id="en/q", group_id="fr/s", grade=1)
    return rows.corpus("small").validated()


def test_restrict_keeps_what_the_languages_have(corpus):
    part = corpus.restrict(["en", "de"])
    assert part.languages == ("en", "de")
    assert part.documents["doc_id"].to_pylist() == ["de/p", "de/s", "en/p"]
    assert part.queries["query_id"].to_pylist() == ["de/q", "en/q"]
    # the French group has no document left, so what points to it goes too
    assert part.qrels.select(["query_id", "group_id"]).to_pylist() == [
        {"query_id": "de/q", "group_id": "p"},
        {"query_id": "en/q", "group_id": "p"},
    ]


def test_restrict_says_which_queries_lost_their_documents(corpus):
    (lost,) = corpus.restrict(["en", "de"]).skipped
    assert (lost.what, lost.count, lost.examples) == ("queries", 1, ("en/cross",))
    assert lost.reason == "no relevant document in en, de"


def test_restrict_to_all_changes_nothing(corpus):
    assert corpus.restrict(["fr", "en", "de"]) == corpus


def test_restrict_leaves_the_schemas_alone(corpus):
    part = corpus.restrict(["en"])
    assert (part.documents.schema, part.queries.schema, part.qrels.schema) == (DOCUMENTS, QUERIES, QRELS)
    assert len(corpus.restrict(["ja"]).qrels) == 0


def test_the_fingerprint_does_not_depend_on_how_tables_are_cut(corpus):
    pieces = pa.concat_tables(corpus.documents.slice(at, 1) for at in range(len(corpus.documents)))
    assert replace(corpus, documents=pieces).fingerprint() == corpus.fingerprint()


def test_the_fingerprint_depends_on_every_row(corpus):
    others = [
        replace(corpus, name="other"),
        replace(corpus, documents=corpus.documents.slice(1)),
        replace(corpus, qrels=corpus.qrels.slice(1)),
        corpus.restrict(["en", "fr"]),
    ]
    assert len({corpus.fingerprint(), *(other.fingerprint() for other in others)}) == 5


def test_fingerprints_repeat():
    assert read_corpus("demo").fingerprint() == read_corpus("demo").fingerprint()


def test_the_fingerprint_is_that_of_earlier_versions():
    """Workspaces of before are named by it; commit a9c91ce computed this one, when queries had no topic."""
    assert read_corpus("demo").fingerprint()[:24] == "0fcba7823a98a46a834e83f3"


def test_the_rows_are_hashed_once(corpus, monkeypatch):
    first = corpus.fingerprint()
    monkeypatch.setattr("clir_core.corpus.tables._hash_rows", None)
    assert corpus.fingerprint() == first


@given(
    st.lists(st.sampled_from(["en", "de", "zh-Hant", "ar", "fr"])), st.sets(st.sampled_from(["en", "zh-Hant", "fr"]))
)
def test_languages_are_listed_english_first_then_those_that_matter(langs: list[str], then: set[str]) -> None:
    found = pivot_first(langs, then=then)
    assert set(found) == set(langs) and len(found) == len(set(langs))
    rest = [lang for lang in found if lang != "en"]
    assert "en" not in found or found[0] == "en"
    known = len([lang for lang in rest if lang in then])
    assert rest == sorted(rest[:known]) + sorted(rest[known:]) and set(rest[:known]) <= then
