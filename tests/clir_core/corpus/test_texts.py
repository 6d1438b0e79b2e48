"""What is embedded of a corpus: titles before texts, and a hash that follows the text and nothing else."""

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest

from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.corpus.texts import document_texts, query_texts


def corpus(*documents: tuple[str, str, str | None], queries: tuple[tuple[str, str], ...] = ()) -> Corpus:
    """Documents are (id, text, title), queries (id, text)."""
    docs = [
        {"doc_id": doc, "group_id": f"group of {doc}", "lang": doc[:2], "text": text, "title": title}
        for doc, text, title in documents
    ]
    asked = [{"query_id": query, "group_id": f"g {query}", "lang": query[:2], "text": text} for query, text in queries]
    return Corpus(
        "c",
        pa.Table.from_pylist(docs, schema=DOCUMENTS),
        pa.Table.from_pylist(asked, schema=QUERIES),
        QRELS.empty_table(),
    )


def one_hash(text: str, title: str | None = None) -> str:
    return document_texts(corpus(("en1", text, title)))["text_hash"].item()


@pytest.mark.parametrize(
    ("title", "text", "embedded"),
    [
        ("Bees", "They dance.", "Bees They dance."),
        (None, "They dance.", "They dance."),
        ("", "They dance.", "They dance."),
        ("蜜蜂", "它们跳舞。", "蜜蜂 它们跳舞。"),
        ("Bees", " They\n\ndance. ", "Bees  They\n\ndance."),
    ],
)
def test_a_title_goes_before_the_text(title: str | None, text: str, embedded: str) -> None:
    assert document_texts(corpus(("en1", text, title)))["text"].item() == embedded


def test_documents_and_queries_keep_their_ids_and_order() -> None:
    given = corpus(("zh2", "b", None), ("en1", "a", "t"), queries=(("de1", "Was?"), ("en1", "What?")))
    assert document_texts(given).drop("text_hash").rows() == [
        ("zh2", "group of zh2", "zh", "b"),
        ("en1", "group of en1", "en", "t a"),
    ]
    assert query_texts(given).drop("text_hash").rows() == [
        ("de1", "g de1", "de", "Was?"),
        ("en1", "g en1", "en", "What?"),
    ]
    assert (
        document_texts(given).columns == query_texts(given).columns == ["id", "group_id", "lang", "text_hash", "text"]
    )


def test_a_corpus_of_nothing_has_no_texts() -> None:
    nothing = corpus()
    assert document_texts(nothing).is_empty() and query_texts(nothing).is_empty()
    assert document_texts(nothing).schema["text_hash"] == pl.String


def test_the_hash_changes_with_the_text_and_the_title() -> None:
    hashes = [
        one_hash("They dance."),
        one_hash("They dance!"),
        one_hash("They dance.", "Bees"),
        one_hash("Bees", "They"),
    ]
    assert len(set(hashes)) == 4
    # letters that look the same are other bytes, and other tokens
    assert one_hash("caf\u00e9") != one_hash("cafe\u0301")


def test_the_hash_follows_nothing_but_what_is_embedded() -> None:
    given = corpus(("en1", "same", None), ("en2", "same", ""), ("de3", "me", "sa"), ("de4", "dance", "They"))
    hashes = document_texts(given)["text_hash"].to_list()
    assert hashes[0] == hashes[1] == one_hash("same")
    assert hashes[3] == one_hash("They dance")
    renamed = replace(given, name="another corpus")
    assert document_texts(renamed).equals(document_texts(given))
