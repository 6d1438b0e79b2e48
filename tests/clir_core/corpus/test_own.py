"""Queries that are documents themselves: by id and text, or by a number that means nothing."""

import pyarrow as pa
import pytest

from clir_core.corpus.own import own_documents
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus


def corpus(docs: dict[str, str], queries: dict[str, str], title: str | None = None) -> Corpus:
    rows = [
        {"doc_id": key, "group_id": f"g-{key}", "lang": "en", "text": text, "title": title}
        for key, text in docs.items()
    ]
    asked = [{"query_id": key, "group_id": key, "lang": "en", "text": text} for key, text in queries.items()]
    tables = (pa.Table.from_pylist(rows, DOCUMENTS), pa.Table.from_pylist(asked, QUERIES), QRELS.empty_table())
    return Corpus("hand", *tables)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("Being vegetarian helps", None),
        ("being  vegetarian\nHELPS", None),
        ("vegetarian helps", None),
        ("Health Being vegetarian helps", "Health"),
    ],
)
def test_the_same_text_under_the_same_id_is_the_query_itself(query: str, title: str | None) -> None:
    found = own_documents(corpus({"a": "Being vegetarian helps", "b": "else"}, {"a": query, "z": "else"}, title))
    assert found.rows() == [("a", "a", "g-a")]


def test_numbers_that_both_count_from_1_mean_nothing() -> None:
    docs = {str(i): f"passage {i} of a book" for i in range(9)}
    assert own_documents(corpus(docs, {str(i): f"what is in chapter {i}?" for i in range(9)})).is_empty()
    # a word of the passage is not the passage
    assert own_documents(corpus(docs, {str(i): f"passage {i}" for i in range(9)})).is_empty()


def test_where_most_texts_agree_the_ids_of_all_do() -> None:
    found = own_documents(corpus({"a": "one", "b": "two", "c": "three"}, {"a": "one", "b": "two", "c": "changed"}))
    assert sorted(found["doc_id"]) == ["a", "b", "c"]
