"""Lines in parallel files: every line asks for its translations, and finds them in `cross` alone."""

import gzip

import numpy as np
import polars as pl
import pytest

from clir_core import audit_vectors
from clir_core.corpus.reading import ReadingSpec
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
    with pytest.raises(CorpusError, match=r"test is not there for de, en \(de: none; en: none\)"):
        read_corpus(f"bitext:{tmp_path}#test")
    with pytest.raises(CorpusError, match=r"a bitext has no columns"):
        read_corpus(f"bitext:{tmp_path}", reading=ReadingSpec(columns={"documents.text": "x"}))


def flores(folder, form):
    """FLORES as it is unpacked: two folders, a file a language; or the same files in another form."""
    for part, lines in (("dev", ["a", "b"]), ("devtest", ["c", "d", "e"])):
        for code in ("eng_Latn", "deu_Latn", "pes_Arab", "prs_Arab", "aka_Latn", "twi_Latn"):
            path = folder / form.format(code=code, part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = "".join(f"{line} {code}\n" for line in lines).encode()
            path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return f"bitext:{folder}"


@pytest.mark.parametrize("form", ["{part}/{code}.{part}", "{code}.{part}", "{part}.{code}", "{part}/{code}.txt.gz"])
def test_of_several_parts_the_one_asked_for_is_read_and_said(tmp_path, form):
    reference, langs = flores(tmp_path, form), ("de", "fa", "fa-AF")
    dev = read_corpus(f"{reference}#dev", langs)
    assert dev.languages == ("en", "de", "fa", "fa-AF") and dev.name == f"{tmp_path.name}-dev"
    assert [text for text in dev.documents["text"].to_pylist() if "deu" in text] == ["a deu_Latn", "b deu_Latn"]
    names = [form.format(code=f"{code}", part="dev") for code in ("eng_Latn", "deu_Latn", "pes_Arab", "prs_Arab")]
    assert dev.notes == (f"Lines were read from {', '.join(names)}, and not from devtest.",)
    # an audit takes what is for tests, and training takes neither unasked
    assert len(read_corpus(reference, ["de"]).documents) == 6
    with pytest.raises(CorpusError, match="to be trained on, and there is no train"):
        read_corpus(reference, ["de"], training=True)
    with pytest.raises(CorpusError, match=r"aka_Latn.* and .*twi_Latn.* are both in ak; keep one"):
        read_corpus(reference)


def test_what_lies_beside_the_lines_is_no_language(tmp_path):
    """As OPUS has it: what `.ids` holds has as many lines, and Idesa's code is ids."""
    names = {f"Europarl__de-en__{ending}": ["a", "b"] for ending in ("de", "en", "ids", "xml", "log")}
    assert read_corpus(write(tmp_path, **names)).languages == ("en", "de")


def test_other_parts_of_a_name_are_parts_where_they_are_asked_for(tmp_path):
    # as NTREX has them
    reference = write(tmp_path, **{"newstest2019-src__eng__txt": ["moon"], "newstest2019-ref__deu__txt": ["Mond"]})
    corpus = read_corpus(reference)
    assert len(corpus.documents) == 2
    assert corpus.notes == ("Lines were read from newstest2019-src.eng.txt, newstest2019-ref.deu.txt.",)
    write(tmp_path, wmt20__en=["sun"], wmt20__de=["Sonne"])
    with pytest.raises(CorpusError, match="are both in en; keep one"):
        read_corpus(reference)
    assert read_corpus(f"{reference}#wmt20").documents["text"].to_pylist() == ["Sonne", "sun"]


def test_for_its_texts_each_language_is_judged_with_the_pivot_alone(tmp_path) -> None:
    for lang in ("en", "de", "fr"):
        (tmp_path / f"lines.{lang}").write_text(f"{lang} one.\n{lang} two.\n", "utf-8")
    whole, texts = (read_corpus(f"bitext:{tmp_path}", texts=texts) for texts in (False, True))
    assert texts.documents.equals(whole.documents) and texts.queries.equals(whole.queries)
    pairs = {tuple(sorted((row["query_id"][:2], row["doc_id"][:2]))) for row in texts.qrels.to_pylist()}
    assert pairs == {("de", "en"), ("en", "fr")} and len(texts.qrels) == 8 and len(whole.qrels) == 12
