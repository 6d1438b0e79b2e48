"""The demo corpus: what it holds, and how read_corpus answers what it cannot give."""

import pytest

from clir_core.errors import CorpusError
from clir_core.sources import read_corpus


def test_the_demo_is_parallel_in_six_languages():
    corpus = read_corpus("demo")
    assert corpus.name == "demo"
    assert corpus.languages == ("en", "ar", "de", "es", "hi", "zh")
    assert len(corpus.documents) == len(corpus.queries) == len(corpus.qrels) == 12 * 6 * 6
    assert len(set(corpus.documents["group_id"].to_pylist())) == 72
    assert corpus.skipped == ()


def test_ids_say_language_group_and_question():
    corpus = read_corpus("demo")
    documents = {row["doc_id"]: row for row in corpus.documents.to_pylist()}
    queries = {row["query_id"]: row for row in corpus.queries.to_pylist()}
    qrels = {row["query_id"]: row for row in corpus.qrels.to_pylist()}
    assert documents["zh/tides-1"]["group_id"] == "tides-1"
    assert documents["zh/tides-1"]["title"] is None
    assert queries["zh/tides-1/q"]["group_id"] == "tides-1/q"
    assert qrels["zh/tides-1/q"] == {"query_id": "zh/tides-1/q", "group_id": "tides-1", "doc_id": None, "grade": 1}


def test_languages_are_read_beside_english():
    assert read_corpus("demo", ["zh", "de", "zh"]).languages == ("en", "de", "zh")
    assert read_corpus("demo", ["en"]).languages == ("en",)
    assert read_corpus("demo", ["zho_Hans", "DE", "deu"]).languages == ("en", "de", "zh")


def test_languages_that_cannot_be_read_are_all_named():
    with pytest.raises(CorpusError) as caught:
        read_corpus("demo", ["german", "fr", "fra", "deu", "zz", "zh"])
    has = "it has documents in ar, de, en, es, hi, zh"
    assert caught.value.problems == (
        f"language 'german' is not a BCP-47 code, {has}; did you mean 'de'?",
        f"language 'fr' is not in the corpus, {has}; ask for one of these",
        f"language 'zz' is not a BCP-47 code, {has}; ask for one of these",
    )


@pytest.mark.parametrize("reference", ["", "demos", "demo:x", "xquad", "hub:", "csv:/tmp"])
def test_an_unknown_kind_lists_the_kinds(reference):
    with pytest.raises(CorpusError, match=r"demo, xquad:DIR, mlqa:DIR, beir:DIR, parquet:DIR, hub:NAME"):
        read_corpus(reference)


@pytest.mark.parametrize("kind", ["xquad", "beir", "parquet"])
def test_a_directory_must_be_there_and_hold_the_corpus(kind, tmp_path):
    with pytest.raises(CorpusError, match=r"gone does not exist; give the folder"):
        read_corpus(f"{kind}:{tmp_path / 'gone'}")
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"file is not a directory"):
        read_corpus(f"{kind}:{tmp_path / 'file'}")
    with pytest.raises(CorpusError, match=r"xquad\.en\.json|corpus\.jsonl|documents\.parquet"):
        read_corpus(f"{kind}:{tmp_path}")
