"""Lines in parallel files: every line asks for its translations, and finds them in `cross` alone."""

import numpy as np
import polars as pl
import pytest

from clir_core import audit_vectors
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus


def write(folder, **files):
    for name, lines in files.items():
        (folder / name.replace("__", ".")).write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "README.md").write_text("no lines")
    return f"bitext:{folder}"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("en__txt", "de__txt"),
        ("dev__en", "dev__de"),
        ("x__eng__txt", "x__deu__txt"),
        ("eng_Latn__dev", "deu_Latn__dev"),
    ],
)
def test_files_are_named_after_their_language(tmp_path, english, german):
    corpus = read_corpus(write(tmp_path, **{english: ["moon", "", "tide"], german: ["Mond", "Sonne", "Flut"]}))
    assert corpus.languages == ("en", "de")
    assert corpus.documents["doc_id"].to_pylist() == ["de/1", "de/2", "de/3", "en/1", "en/3"]
    pairs = {(row["query_id"], row["doc_id"]) for row in corpus.qrels.to_pylist()}
    assert pairs == {("en/1", "de/1"), ("de/1", "en/1"), ("en/3", "de/3"), ("de/3", "en/3")}
    assert [(one.what, one.examples) for one in corpus.skipped] == [("queries", ("de/2",))]


def test_a_line_finds_its_translation_and_not_itself(tmp_path):
    n = 12
    reference = write(tmp_path, en__txt=[f"line {i}" for i in range(n)], de__txt=[f"Zeile {i}" for i in range(n)])
    corpus, eye = read_corpus(reference), np.eye(n)
    vectors = np.array([eye[int(row["group_id"]) - 1] for row in corpus.documents.to_pylist()])
    audit = audit_vectors(corpus, documents=vectors, queries=vectors, name="perfect")
    ranked = audit.ranks
    assert set(ranked["scenario"]) == {"cross"} and set(ranked["rank"]) == {1} and len(ranked) == 2 * n
    assert audit.top.filter(pl.col("query_id") == pl.col("doc_id")).is_empty()
    assert "cannot say" in audit.verdict[0]


def test_files_of_other_lengths_and_of_one_language_are_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"not as many lines as one another \(.*en\.txt 2, .*de\.txt 3\)"):
        read_corpus(write(tmp_path, en__txt=["a", "b"], de__txt=["a", "b", "c"]))
    with pytest.raises(CorpusError, match=r"de\.txt and .*x\.de are both in de; keep one"):
        read_corpus(write(tmp_path, x__de=["a", "b"]))
    (tmp_path / "x.de").unlink()
    with pytest.raises(CorpusError, match=r"a bitext has neither splits nor columns"):
        read_corpus(f"bitext:{tmp_path}#test")
