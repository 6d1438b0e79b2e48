"""Equal ids are translations where the texts support it: real translations against the same texts paired otherwise."""

import random

import pytest
from test_beir import write

from clir_core.align.data import build_triples
from clir_core.corpus.reading import ReadingSpec
from clir_core.errors import AlignError, CorpusError
from clir_core.sources import read_corpus
from clir_core.sources.parallel import FEWEST, compare


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """The demo's passages by language, in one order."""
    rows = sorted(read_corpus("demo").documents.to_pylist(), key=lambda row: row["group_id"])
    return {lang: [row["text"] for row in rows if row["lang"] == lang] for lang in ("en", "ar", "de", "es", "hi", "zh")}


@pytest.mark.parametrize("lang", ["ar", "de", "es", "hi", "zh"])
def test_translations_are_known_and_shuffled_ones_are_not(texts, lang):
    rng = random.Random(lang)
    found = {True: 0, False: 0}
    for _ in range(20):
        chosen = rng.sample(range(72), 20)
        other = rng.sample(chosen, 20)
        first = [texts["en"][i] for i in chosen]
        found[True] += compare(first, [texts[lang][i] for i in chosen]).is_parallel
        found[False] += compare(first, [texts[lang][i] for i in other]).is_parallel
    assert found[True] >= 16 and found[False] == 0
    assert compare(texts["en"], texts[lang]).is_parallel


def test_numbers_and_names_tell_where_lengths_are_all_the_same():
    first = [f"Anna saw {i:03} gulls in {name}" for i, name in enumerate(["Rome", "Oslo", "Bern", "Kiev"] * 5)]
    second = [f"Anna sah {i:03} Möwen in {name}" for i, name in enumerate(["Rome", "Oslo", "Bern", "Kiev"] * 5)]
    assert compare(first, second).is_parallel
    assert not compare(first, second[1:] + second[:1]).is_parallel


def test_digits_of_other_scripts_are_the_same_numbers():
    first = [f"it was in {i}" for i in range(1900, 1920)]
    second = ["في " + str(i).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")) for i in range(1900, 1920)]
    assert compare(first, second).is_parallel


def test_few_texts_cannot_tell():
    same = [f"text {i} {'x' * i}" for i in range(FEWEST)]
    assert compare(same, same).is_parallel
    assert not compare(same[1:], same[1:]).is_parallel


def folders(folder, texts, order, golds=None):
    """English and German, the German texts under the ids of this order."""
    for lang, numbers in (("en", range(len(order))), ("de", order)):
        corpus = [{"_id": f"{i}#0", "text": texts[lang][number]} for i, number in enumerate(numbers)]
        queries = [{"_id": str(i), "text": f"{i}? {lang}"} for i in range(3)]
        answers = golds[lang] if golds else range(3)
        write(folder / lang, corpus, queries, [f"{i} {answer}#0 1" for i, answer in enumerate(answers)])
    return f"beir:{folder}"


def test_folders_of_translations_are_parallel_and_others_are_not(texts, tmp_path):
    parallel = read_corpus(folders(tmp_path / "a", texts, range(72)))
    assert len(set(parallel.documents["group_id"].to_pylist())) == 72
    assert parallel.queries["group_id"].to_pylist() == ["0", "1", "2"] * 2
    assert parallel.qrels["group_id"].to_pylist() == ["0#0", "1#0", "2#0"] * 2
    assert [note.split(":")[0] for note in parallel.notes[1:]] == [
        "Documents with one id in en and de",
        "Queries with one id in en and de",
    ]
    assert "3 of 3 have the same golds" in parallel.notes[2]
    reference = folders(tmp_path / "b", texts, [*range(36, 72), *range(36)])
    apart = read_corpus(reference)
    assert len(set(apart.documents["group_id"].to_pylist())) == 144
    assert len(set(apart.queries["group_id"].to_pylist())) == 6
    assert sorted(apart.qrels["doc_id"].to_pylist()) == [f"{lang}/{i}#0" for lang in ("de", "en") for i in range(3)]
    with pytest.raises(AlignError, match="no triple for en-de"):
        build_triples(apart, (), 10, 0)
    said = read_corpus(reference, reading=ReadingSpec(parallel="ids"))
    assert len(set(said.documents["group_id"].to_pylist())) == 72


def test_queries_of_one_id_with_other_golds_are_no_translations(texts, tmp_path):
    golds = {"en": [0, 1, 2], "de": [5, 6, 7]}
    corpus = read_corpus(folders(tmp_path, texts, range(72), golds))
    assert len(set(corpus.documents["group_id"].to_pylist())) == 72
    assert corpus.queries["group_id"].to_pylist() == ["de/0", "de/1", "de/2", "en/0", "en/1", "en/2"]


def test_a_query_may_be_judged_for_another_languages_document(tmp_path):
    write(
        tmp_path / "en",
        [{"_id": "e", "text": "moon"}, {"_id": "x", "text": "sun"}],
        [{"_id": "q", "text": "?"}],
        ["q e 1"],
    )
    write(tmp_path / "de", [{"_id": "y", "text": "Mond"}], [{"_id": "q", "text": "??"}], ["q e 1", "q y 1"])
    corpus = read_corpus(f"beir:{tmp_path}")
    found = {(row["query_id"], row["doc_id"]) for row in corpus.qrels.to_pylist()}
    # its own document before another language's
    assert found == {("en/q", "en/e"), ("de/q", "en/e"), ("de/q", "de/y")}


def test_where_languages_number_their_documents_alike_an_id_is_missing_in_its_own(tmp_path):
    """Another language's document of that number says nothing of it."""
    texts = [{"_id": "1", "text": "moon"}, {"_id": "2", "text": "sun"}]
    write(tmp_path / "en", texts, [{"_id": "q", "text": "?"}], ["q 1 1"])
    write(tmp_path / "de", [{"_id": "1", "text": "Brot"}], [{"_id": "q", "text": "??"}], ["q 1 1", "q 2 1"])
    with pytest.raises(CorpusError, match=r"de/qrels/test.tsv, row 3: doc_id 'de/2' is no document of this corpus"):
        read_corpus(f"beir:{tmp_path}")
