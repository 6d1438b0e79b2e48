"""MLQA: questions are parallel by their ids, paragraphs are comparable where they answer the same ones."""

import json
from pathlib import Path

import pytest

from clir_core.errors import CorpusError
from clir_core.sources import read_corpus

Paragraphs = list[tuple[str, dict[str, str]]]
EN: Paragraphs = [
    ("Bees live in a hive.", {"q1": "Where do bees live?", "q2": "What lives in a hive?"}),
    ("Ants dig tunnels.", {"q3": "What do ants dig?"}),
    ("Owls hunt at night.", {"q5": "When do owls hunt?"}),
    ("Moths fly at night.", {"q6": "When do moths fly?"}),
]
DE: Paragraphs = [
    ("Bienen wohnen im Stock.", {"q1": "Wo wohnen Bienen?"}),
    ("Im Stock ist es warm.", {"q2": "Was wohnt im Stock?"}),
    ("Ameisen graben Gänge.", {"q3": "Was graben Ameisen?"}),
]
ES: Paragraphs = [("Las hormigas cavan.", {"q3": "¿Qué cavan las hormigas?"})]


def write(directory: Path, lang: str, paragraphs: Paragraphs, split: str = "test", question: str = "") -> None:
    told = [
        {"context": context, "qas": [{"id": key, "question": asked, "answers": []} for key, asked in questions.items()]}
        for context, questions in paragraphs
    ]
    folder = directory / split
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{split}-context-{lang}-question-{question or lang}.json"
    file.write_text(json.dumps({"version": 1.0, "data": [{"title": "T", "paragraphs": told}]}), "utf-8")


@pytest.fixture
def mlqa(tmp_path: Path) -> Path:
    for lang, paragraphs in (("en", EN), ("de", DE), ("es", ES)):
        write(tmp_path, lang, paragraphs)
        write(tmp_path, lang, paragraphs[:1], "dev")
    # the same questions again, asked in another language
    write(tmp_path, "de", [("Bienen wohnen im Stock.", {"q1": "Where do bees live?"})], question="en")
    return tmp_path


def test_paragraphs_that_answer_the_same_questions_are_one_group(mlqa: Path) -> None:
    corpus = read_corpus(f"mlqa:{mlqa}")
    groups = {row["text"]: row["group_id"] for row in corpus.documents.to_pylist()}
    assert groups["Ants dig tunnels."] == groups["Ameisen graben Gänge."] == groups["Las hormigas cavan."]
    # one English paragraph answers what two German ones do: none is the other's counterpart
    apart = ("Bees live in a hive.", "Bienen wohnen im Stock.", "Im Stock ist es warm.")
    assert len({groups[text] for text in apart}) == 3
    assert len(groups) == 8 and len(set(groups.values())) == 6
    assert any(
        "1 groups hold paragraphs of several languages" in note and "5 paragraphs" in note for note in corpus.notes
    )


def test_a_question_is_answered_by_the_paragraphs_that_hold_it_and_by_no_others(mlqa: Path) -> None:
    corpus = read_corpus(f"mlqa:{mlqa}")
    texts = {row["doc_id"]: row["text"] for row in corpus.documents.to_pylist()}
    golds: dict[str, set[str]] = {}
    for row in corpus.qrels.to_pylist():
        golds.setdefault(row["query_id"], set()).add(texts[row["doc_id"]])
    assert golds["de/q1"] == golds["en/q1"] == {"Bienen wohnen im Stock.", "Bees live in a hive."}
    assert golds["en/q2"] == {"Im Stock ist es warm.", "Bees live in a hive."}
    assert golds["es/q3"] == {"Ants dig tunnels.", "Ameisen graben Gänge.", "Las hormigas cavan."}
    parallel = {row["query_id"]: row["group_id"] for row in corpus.queries.to_pylist()}
    assert parallel["en/q3"] == parallel["de/q3"] and len(parallel) == 9


def test_the_splits_have_no_id_in_common(mlqa: Path) -> None:
    one, other = (read_corpus(f"mlqa:{mlqa}#{split}").documents for split in ("dev", "test"))
    for column in ("doc_id", "group_id"):
        assert not set(one[column].to_pylist()) & set(other[column].to_pylist())


def test_a_split_is_named_or_test_and_training_never_takes_it_unasked(mlqa: Path) -> None:
    assert "test-context-en-question-en.json" in read_corpus(f"mlqa:{mlqa}").notes[0]
    dev = read_corpus(f"mlqa:{mlqa}#dev", ["de"])
    assert len(dev.queries) == 3 and dev.languages == ("en", "de")
    with pytest.raises(CorpusError, match="there is no train"):
        read_corpus(f"mlqa:{mlqa}", training=True)


def test_what_is_missing_or_broken_is_named(mlqa: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(CorpusError, match=r"has no file such as test-context-de-question-de.json"):
        read_corpus(f"mlqa:{tmp_path_factory.mktemp('empty')}")
    with pytest.raises(CorpusError, match=r"language 'zh' is not in the corpus"):
        read_corpus(f"mlqa:{mlqa}", ["zh"])
    file = mlqa / "test" / "test-context-de-question-de.json"
    file.write_text(file.read_text()[:50])
    with pytest.raises(CorpusError, match=r"test-context-de-question-de.json: the JSON is cut off"):
        read_corpus(f"mlqa:{mlqa}")
