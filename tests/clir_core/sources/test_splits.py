"""Splits: whole articles or topics on one side, whole pools, and what is said of a split that is not there."""

from dataclasses import replace
from pathlib import Path

import pytest
from corpus_case import write_corpus

from clir_core.corpus.same_text import normalised
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import CorpusError, SpecError
from clir_core.sources import read_corpus

# index 0, 3, 6, 9 of the twelve sorted topics; 1 and 10 are the dev slice of the others
DEMO = {
    "test": {"bees", "chess", "libraries", "tides"},
    "dev": {"bread", "vaccines"},
    "fit": {"bridges", "coffee", "glaciers", "sleep", "solar-power", "volcanoes"},
}
DEMO["train"] = DEMO["dev"] | DEMO["fit"]


def asked_topics(corpus: Corpus) -> set[str]:
    return {group.rpartition("-")[0] for group in corpus.qrels["group_id"].to_pylist()}


def judged_texts(corpus: Corpus) -> set[str]:
    """Queries and the passages that answer them, in every language."""
    documents = document_texts(corpus)
    golds = documents.filter(documents["group_id"].is_in(corpus.qrels["group_id"].to_pylist()))
    return {normalised(text) for text in [*golds["text"], *query_texts(corpus)["text"]]}


def all_texts(corpus: Corpus) -> set[str]:
    return {normalised(text) for text in [*document_texts(corpus)["text"], *query_texts(corpus)["text"]]}


@pytest.mark.parametrize("split", DEMO)
def test_the_demo_is_split_by_topic(split: str) -> None:
    corpus = read_corpus(f"demo#{split}")
    assert corpus.name == f"demo-{split}"
    assert asked_topics(corpus) == DEMO[split]
    n_topics = len(DEMO[split])
    assert len(corpus.queries) == len(corpus.qrels) == n_topics * 6 * 6
    assert len(corpus.documents) == (12 if split in ("test", "dev") else n_topics) * 6 * 6
    assert set(corpus.queries["query_id"].to_pylist()) == set(corpus.qrels["query_id"].to_pylist())


def test_xquad_is_split_by_article(xquad_dir: Path) -> None:
    whole = range(48)
    articles = {
        "train": {a for a in whole if a % 3},
        "dev": {1, 10, 19, 28, 37, 46},
        "test": {a for a in whole if a % 3 == 0},
    }
    articles["fit"] = articles["train"] - articles["dev"]
    for split, expected in articles.items():
        corpus = read_corpus(f"xquad:{xquad_dir}#{split}", ["zh"])
        assert corpus.name == f"xquad-{split}" and corpus.languages == ("en", "zh")
        assert {int(group[1:3]) for group in corpus.qrels["group_id"].to_pylist()} == expected
        assert len(corpus.documents) == 2 * (240 if split in ("test", "dev") else 5 * len(expected))


@pytest.mark.parametrize(("held_out", "trained"), [("test", "train"), ("dev", "fit"), ("test", "fit")])
def test_no_held_out_text_is_trained_on(held_out: str, trained: str) -> None:
    assert not judged_texts(read_corpus(f"demo#{held_out}")) & all_texts(read_corpus(f"demo#{trained}"))


def test_no_held_out_text_of_xquad_is_trained_on(xquad_dir: Path) -> None:
    held_out, trained, tuned, fitted = (
        read_corpus(f"xquad:{xquad_dir}#{split}") for split in ("test", "train", "dev", "fit")
    )
    assert not judged_texts(held_out) & all_texts(trained)
    assert not judged_texts(tuned) & all_texts(fitted)


def test_train_and_test_are_all() -> None:
    train, test, whole = (read_corpus(reference) for reference in ("demo#train", "demo#test", "demo"))
    ids = [set(corpus.queries["query_id"].to_pylist()) for corpus in (train, test, whole)]
    assert ids[0] | ids[1] == ids[2] and not ids[0] & ids[1]
    assert test.documents.equals(whole.documents)


def test_without_a_split_nothing_changes(tmp_path: Path) -> None:
    folder = tmp_path / "c#" / "part#test"
    write_corpus(read_corpus("demo", ["de"]), folder)
    assert read_corpus(f"parquet:{folder}").documents.equals(read_corpus("demo", ["de"]).documents)
    with pytest.raises(CorpusError, match="gone does not exist"):
        read_corpus(f"parquet:{tmp_path}/c#/gone")


def test_a_split_survives_a_round_trip(tmp_path: Path) -> None:
    corpus = replace(read_corpus("demo#dev"), name="dev")
    assert read_corpus(f"parquet:{write_corpus(corpus, tmp_path / 'dev')}").fingerprint() == corpus.fingerprint()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("demo#tset", r"'tset' is no split, there are train, fit, dev, test; did you mean 'demo#test'\?"),
        ("xquad:/data#validation", r"'validation' is no split, .*; write one of train, fit, dev, test"),
        ("demo#", r"'' is no split"),
        ("beir:/data/fiqa#", r"'' is no split"),
    ],
)
def test_a_split_that_is_not_there_is_named(reference: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_corpus(reference)


def test_a_split_without_queries_is_named(tmp_path: Path) -> None:
    paragraph = '{"context": "moon", "qas": [{"id": "q", "question": "which?"}]}'
    (tmp_path / "xquad.en.json").write_text(f'{{"data": [{{"paragraphs": [{paragraph}]}}]}}')
    assert read_corpus(f"xquad:{tmp_path}#test").name == "xquad-test"
    with pytest.raises(CorpusError, match="no query in its split 'train': it has 1 articles"):
        read_corpus(f"xquad:{tmp_path}#train")
