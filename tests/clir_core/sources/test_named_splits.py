"""Qrels by name: which are read, that it is said, and that nothing is trained on what audits ask."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.align.data import notes_of, training_triples
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus

NAMES = ("train", "dev", "test", "hard")


def beir(folder, **splits):
    """A folder a language, documents in one group by their lines, a question for each split."""
    for lang, names in splits.items():
        place = folder / lang
        (place / "qrels").mkdir(parents=True, exist_ok=True)
        docs = [{"_id": name, "text": f"{lang} {name}", "group_id": name} for name in NAMES]
        asks = [{"_id": f"q-{name}", "text": f"{lang} {name}?", "group_id": f"q-{name}"} for name in NAMES]
        for file, rows in (("corpus", docs), ("queries", asks)):
            (place / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        for name in names.split():
            (place / "qrels" / f"{name}.tsv").write_text(f"query-id\tcorpus-id\tscore\nq-{name}\t{name}\t1\n", "utf-8")
    return f"beir:{folder}"


def asked(corpus):
    return sorted(set(corpus.queries["group_id"].to_pylist()))


@pytest.mark.parametrize("name", NAMES)
def test_a_split_is_part_of_the_reference(tmp_path, name):
    corpus = read_corpus(f"{beir(tmp_path / 'c', en=' '.join(NAMES), de=' '.join(NAMES))}#{name}")
    assert corpus.name == f"c-{name}" and asked(corpus) == [f"q-{name}"]
    assert corpus.notes[0].startswith(f"Qrels were read from en/qrels/{name}.tsv, de/qrels/{name}.tsv, and not from ")


def test_without_one_test_is_asked_and_that_is_said(tmp_path):
    corpus = read_corpus(beir(tmp_path, en="train test", de="train test"))
    assert asked(corpus) == ["q-test"]
    assert corpus.notes[0] == (
        "Qrels were read from en/qrels/test.tsv, de/qrels/test.tsv, and not from "
        "en/qrels/train.tsv, de/qrels/train.tsv."
    )


@pytest.mark.parametrize(
    ("en", "de", "split", "message"),
    [
        (
            "train test",
            "train dev",
            "",
            r"test is not there for de \(en: test, train; de: dev, train\); name one .* #train",
        ),
        ("test", "dev", "", r"test is not there for de \(en: test; de: dev\); give all of them the same one"),
        ("test", "test", "#nope", r"nope is not there for en, de"),
        ("hard train2", "hard train2", "", r"none is called test, dev or train .*such as #hard"),
    ],
)
def test_languages_agree_on_a_split(tmp_path, en, de, split, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(beir(tmp_path, en=en, de=de) + split)


def test_training_takes_train_and_never_what_audits_ask(tmp_path):
    triples = training_triples(beir(tmp_path / "a", en="train test", de="train test"), (), 10, 0)
    assert triples["q_en"].to_pylist() == ["en train?"]
    assert notes_of(triples)[0].startswith("Qrels were read from en/qrels/train.tsv, de/qrels/train.tsv, and not from")
    only = beir(tmp_path / "b", en="test", de="test")
    with pytest.raises(
        CorpusError, match=r"to be trained on, and there is no train \(en: test; de: test\); name one .*#test"
    ):
        training_triples(only, (), 10, 0)
    assert training_triples(f"{only}#test", (), 10, 0)["q_en"].to_pylist() == ["en test?"]
    assert training_triples(beir(tmp_path / "c", en="hard", de="hard"), (), 10, 0)["q_en"].to_pylist() == ["en hard?"]


def parquet(folder, qrels):
    folder.mkdir(exist_ok=True)
    docs = {"doc_id": list(NAMES), "lang": ["en"] * 4, "text": list(NAMES)}
    asks = {"query_id": [f"q-{name}" for name in NAMES], "lang": ["en"] * 4, "text": ["?"] * 4}
    for name, columns in {"documents": docs, "queries": asks, **qrels}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return f"parquet:{folder}"


def judged(name, **more):
    return {"query_id": [f"q-{name}"], "doc_id": [name], "score": [1], **more}


def test_parquet_is_split_by_files_or_by_a_column(tmp_path):
    files = parquet(tmp_path / "files", {f"qrels/{name}": judged(name) for name in ("train", "test")})
    rows = pa.concat_tables([pa.table(judged(name, split=[name])) for name in ("train", "dev")])
    column = parquet(tmp_path / "column", {"qrels": rows})
    shards = parquet(tmp_path / "shards", {f"qrels/{name}-0000{i}-of-00002": judged(n) for name, n, i in [
        ("test", "test", 0), ("test", "hard", 1), ("train", "train", 0)]})  # fmt: skip
    parts = parquet(tmp_path / "parts", {f"qrels/{i}": judged(name) for i, name in enumerate(("train", "test"))})
    for reference, expected in {
        files: ["q-test"],
        f"{files}#train": ["q-train"],
        column: ["q-dev"],
        f"{column}#train": ["q-train"],
        shards: ["q-hard", "q-test"],
        parts: ["q-test", "q-train"],  # one table in two files
    }.items():
        assert asked(read_corpus(reference)) == expected, reference
    assert read_corpus(files).notes == ("Qrels were read from qrels/test.parquet, and not from qrels/train.parquet.",)
    assert read_corpus(column).notes == ("Qrels were read from the rows of split dev, of dev, train.",)
    assert read_corpus(parts).notes == ()
    with pytest.raises(CorpusError, match=r"its qrels have no splits, so no 'test'; leave #test out"):
        read_corpus(f"{parts}#test")
    assert asked(read_corpus(files, training=True)) == ["q-train"]
