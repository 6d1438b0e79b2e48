"""MLQA's layout, in small files made here: comparable contexts, judged one by one, in a group only where they match."""

import json

import pytest

from clir_core.errors import CorpusError
from clir_core.sources import read_corpus

# German holds the moon's question, not the tide's; Spanish both suns', in an article that stands first
ENGLISH = {"The moon.": ("moon", "tide"), "The sun.": ("sun",), "A star.": ("star",)}
GERMAN = {"Ein Stern.": ("star",), "Der Mond.": ("moon",)}
SPANISH = {"El sol.": ("sun",)}


def write(place, split, lang, contexts, asks_in=None):
    """One article a context; a question is its id in a language."""
    paragraphs = [
        {"context": text, "qas": [{"id": one, "question": f"{asks_in or lang} {one}?", "answers": []} for one in ids]}
        for text, ids in contexts.items()
    ]
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{split}-context-{lang}-question-{asks_in or lang}.json"
    data = [{"title": f"{lang} title", "paragraphs": [one]} for one in paragraphs]
    path.write_text(json.dumps({"version": 1.0, "data": data}), "utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    for lang, contexts in (("en", ENGLISH), ("de", GERMAN), ("es", SPANISH)):
        write(tmp_path / "test", "test", lang, contexts)
        write(tmp_path / "dev", "dev", lang, {f"{lang} comet.": ("comet",)})
    return tmp_path


def golds(corpus):
    return {(row["query_id"], row["doc_id"]) for row in corpus.qrels.to_pylist()}


def groups(corpus):
    return {row["doc_id"]: row["group_id"] for row in corpus.documents.to_pylist()}


def test_a_question_has_the_context_of_every_language_that_holds_it(folder):
    corpus = read_corpus(f"mlqa:{folder}")
    assert (corpus.name, corpus.languages) == ("mlqa-test", ("en", "de", "es")) or corpus.name == "mlqa"
    moon = {("en/test-a00-p00"), ("de/test-a01-p00")}
    sun = {"en/test-a01-p00", "es/test-a00-p00"}
    star = {"en/test-a02-p00", "de/test-a00-p00"}
    assert golds(corpus) == {
        *((f"{lang}/moon", doc) for lang in ("en", "de") for doc in moon),
        *((f"{lang}/sun", doc) for lang in ("en", "es") for doc in sun),
        *((f"{lang}/star", doc) for lang in ("en", "de") for doc in star),
        ("en/tide", "en/test-a00-p00"),
    }
    queries = {row["query_id"]: (row["group_id"], row["text"]) for row in corpus.queries.to_pylist()}
    assert len(queries) == 7 and queries["de/moon"] == ("moon", "de moon?")
    assert set(corpus.documents["title"].to_pylist()) == {None}


def test_only_contexts_with_the_same_questions_share_a_group(folder):
    corpus = read_corpus(f"mlqa:{folder}")
    assert groups(corpus) == {
        "en/test-a00-p00": "moon+tide",
        "de/test-a01-p00": "moon",
        "en/test-a01-p00": "sun",
        "es/test-a00-p00": "sun",
        "en/test-a02-p00": "star",
        "de/test-a00-p00": "star",
    }
    assert corpus.notes[-1].startswith("Contexts that hold the same questions as one in another language: 4 of 6.")
    assert "comparable, no translations" in corpus.notes[-1]


def test_fewer_languages_change_no_group(folder):
    whole, part = (groups(read_corpus(f"mlqa:{folder}", langs)) for langs in ((), ("de",)))
    assert part == {doc: group for doc, group in whole.items() if not doc.startswith("es/")}


def test_splits_are_test_unless_named_and_never_trained_on_unless_named(folder):
    dev = read_corpus(f"mlqa:{folder}#dev", training=True)
    assert dev.name == "mlqa-dev" and set(groups(dev)) == {f"{lang}/dev-a00-p00" for lang in ("en", "de", "es")}
    test = read_corpus(f"mlqa:{folder}")
    assert test.notes[0] == "Qrels were read from split test, and not from split dev."
    assert not set(groups(test)) & set(groups(dev))
    with pytest.raises(CorpusError, match=r"to be trained on, and there is no train .*such as #dev"):
        read_corpus(f"mlqa:{folder}", training=True)
    with pytest.raises(CorpusError, match=r"fit is not there for en, de, es .*such as #dev"):
        read_corpus(f"mlqa:{folder}#fit")


def test_files_may_lie_in_the_folder_itself_and_crossed_ones_are_counted_unread(folder):
    (folder / "test" / "test-context-de-question-en.json").write_text("{ not read")
    write(folder / "test", "test", "en", ENGLISH, asks_in="de")
    expected = read_corpus(f"mlqa:{folder}")
    assert expected.notes[1] == "Files that ask in another language than their contexts' were not read: 2."
    direct = read_corpus(f"mlqa:{folder / 'test'}")
    assert direct.fingerprint() == expected.fingerprint() and direct.notes[0].endswith("from split test.")


def test_a_context_that_several_paragraphs_repeat_is_one_document(tmp_path):
    path = write(tmp_path, "test", "en", {"The moon.": ("moon",), "The sun.": ("sun",)})
    path.write_text(path.read_text().replace("The sun.", "The moon."))
    corpus = read_corpus(f"mlqa:{tmp_path}")
    assert groups(corpus) == {"en/test-a00-p00": "moon+sun"}
    assert golds(corpus) == {("en/moon", "en/test-a00-p00"), ("en/sun", "en/test-a00-p00")}


def test_damaged_missing_and_double_files_are_named(folder):
    english, german = (folder / "test" / f"test-context-{lang}-question-{lang}.json" for lang in ("en", "de"))
    whole = english.read_text()
    english.write_text(whole[:60])
    german.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Mond", "qas": [{"question": "?"}]}]}]}))
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"mlqa:{folder}")
    cut, no_id = caught.value.problems
    assert cut.startswith(f"{english}: the JSON is cut off") and "line 1 column 60" in cut
    assert no_id == f"{german}: 'data[0].paragraphs[0].qas[0].id' is missing; add it"
    assert read_corpus(f"mlqa:{folder}#dev").languages == ("en", "de", "es")
    english.write_text(whole)
    german.unlink()
    with pytest.raises(CorpusError, match=r"test is not there for de \(en: dev, test; de: dev; es: dev, test\)"):
        read_corpus(f"mlqa:{folder}")
    with pytest.raises(CorpusError, match=r"language 'zh' is not in the corpus, it has documents in de, en, es"):
        read_corpus(f"mlqa:{folder}", ["zh"])
    write(folder, "test", "en", ENGLISH)
    with pytest.raises(CorpusError, match=r"test-context-en-question-en\.json and .* are both there; keep one"):
        read_corpus(f"mlqa:{folder}")


def test_a_folder_without_such_files_says_which_it_needs(tmp_path):
    with pytest.raises(CorpusError, match=r"no file such as test-context-en-question-en\.json.*MLQA_V1"):
        read_corpus(f"mlqa:{tmp_path}")


def test_one_id_in_two_contexts_of_a_language_is_refused(tmp_path):
    path = write(tmp_path, "test", "en", {"The moon.": ("moon",), "The sun.": ("moon",)})
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"mlqa:{tmp_path}")
    assert caught.value.problems[0].startswith(f"{path}, row 2: group 'moon' has a document in 'en' before")
