"""Parquet: what is written reads back equal, what others wrote is brought to our columns or refused by name."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_case import write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.corpus.tables import QUERIES, Corpus
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus
from clir_core.sources.rows import RawRows

DOCS = {"doc_id": ["e", "d"], "lang": ["en", "de"], "text": ["moon", "Mond"]}
ASKS = {"query_id": ["q"], "lang": ["en"], "text": ["what?"]}
JUDGED = {"query_id": ["q"], "doc_id": ["e"]}


def write(folder: Path, docs=DOCS, asks=ASKS, judged=JUDGED) -> Path:
    for name, columns in (("documents", docs), ("queries", asks), ("qrels", judged)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"parquet:{folder}")
    return list(caught.value.problems)


def not_utf8(*values: bytes) -> pa.Array:
    """A string column that holds these bytes, as a careless writer makes it."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda text: f"x{text}")
IDS = st.lists(TEXT, min_size=1, max_size=6, unique=True)


@st.composite
def corpora(draw) -> Corpus:
    """Groups in English and some other languages, queries that judge groups or documents."""
    rows, pairs = RawRows(), []
    for group in draw(IDS):
        for lang in ("en", *draw(st.sets(st.sampled_from(["de", "zh", "sr-Latn"])))):
            doc_id = f"{lang}/{group}"
            title = draw(st.none() | st.text(st.characters(exclude_categories=["Cs"])))
            rows.documents.add("f", 1, doc_id=doc_id, group_id=group, lang=lang, text=draw(TEXT), title=title)
            pairs.append((group, doc_id))
    for query in draw(IDS):
        rows.queries.add(
            "f", 1, query_id=query, group_id=query, lang=draw(st.sampled_from(["en", "de"])), text=draw(TEXT)
        )
        group, doc_id = draw(st.sampled_from(pairs))
        target = draw(st.sampled_from([{"group_id": group}, {"doc_id": doc_id}]))
        rows.qrels.add("f", 1, query_id=query, grade=draw(st.integers(1, 2**31 - 1)), **target)
    return rows.corpus(draw(TEXT)).validated()


@settings(max_examples=40, deadline=None)
@given(corpora())
def test_any_valid_corpus_survives(corpus):
    with tempfile.TemporaryDirectory() as folder:
        back = read_corpus(f"parquet:{write_corpus(corpus, Path(folder, 'ein Name'))}")
    assert back == replace(corpus, name="ein Name", skipped=())


def test_what_is_optional_is_filled_in(tmp_path):
    corpus = read_corpus(f"parquet:{write(tmp_path)}")
    assert corpus.name == tmp_path.name
    assert corpus.documents.to_pylist()[0] == {
        "doc_id": "d",
        "group_id": "d",
        "lang": "de",
        "text": "Mond",
        "title": None,
    }
    assert corpus.queries["group_id"].to_pylist() == ["q"]
    assert corpus.qrels.to_pylist() == [{"query_id": "q", "group_id": None, "doc_id": "e", "grade": 1}]


def test_folders_and_other_string_and_integer_types(tmp_path):
    write(tmp_path, judged={"query_id": ["q"], "group_id": ["e"], "grade": pa.array([2], pa.int64())})
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents.parquet").unlink()
    for number, (key, lang) in enumerate((("e", "en"), ("d", "de"))):
        columns = {
            "doc_id": pa.array([key], pa.large_string()),
            "lang": pa.array([lang]).dictionary_encode(),
            "text": ["t"],
        }
        pq.write_table(pa.table(columns), tmp_path / "documents" / f"{number}.parquet")
    corpus = read_corpus(f"parquet:{tmp_path}")
    assert corpus.documents["doc_id"].to_pylist() == ["d", "e"]
    assert corpus.qrels.to_pylist() == [{"query_id": "q", "group_id": "e", "doc_id": None, "grade": 2}]


def test_further_columns_of_queries_are_kept_as_text(tmp_path):
    asks = {
        **{"query_id": ["q", "p"], "lang": ["en", "en"], "text": ["what?", "who?"], "file": ["x", "y"]},
        "author": pa.array(["Ann", None]).dictionary_encode(),
        "year": pa.array([1969, 2**62], pa.int64()),
        "title": pa.array(["A", "B"], pa.large_string()),
        **{"score": [0.5, 1.5], "tags": [["a"], []], "none": pa.nulls(2), "is_new": [True, False]},
        **{"bad": not_utf8(b"M\xf6nd", b"ok"), "__index_level_0__": [0, 1]},
        # names that validation uses for columns of its own
        **{"why": ["a", "b"], "nth": ["a", "b"], "problem": ["a", "b"], "first_row": ["a", "b"]},
    }
    judged = {"query_id": ["q", "p"], "doc_id": ["e", "d"]}
    queries = read_corpus(f"parquet:{write(tmp_path, asks=asks, judged=judged)}").queries
    more = ["author", "year", "title", "why", "nth", "problem", "first_row"]
    assert queries.schema == pa.schema([*QUERIES, *(pa.field(name, pa.string()) for name in more)])
    assert queries.select(["query_id", *more[:3]]).to_pylist() == [
        {"query_id": "p", "author": None, "year": str(2**62), "title": "B"},
        {"query_id": "q", "author": "Ann", "year": "1969", "title": "A"},
    ]
    assert "score" not in read_corpus(f"parquet:{write(tmp_path)}").documents.column_names


def test_problems_are_found_whatever_further_columns_are_called(tmp_path):
    asks = {"query_id": ["q", "q"], "lang": ["english", "en"], "text": ["what?", "who?"]}
    plain = problems_of(write(tmp_path, asks=asks))
    named = {name: ["x", "y"] for name in ("why", "nth", "problem", "first_row", "first_file")}
    assert len(plain) == 2 and problems_of(write(tmp_path, asks=asks | named)) == plain


def test_files_of_a_folder_may_have_other_further_columns(tmp_path):
    (write(tmp_path) / "queries.parquet").unlink()
    (tmp_path / "queries").mkdir()
    parts = [{"topic": ["moon"], "year": pa.nulls(1)}, {"year": ["1969"]}, {}]
    for at, more in enumerate(parts):
        columns = {"query_id": [f"q{at}"], "lang": ["en"], "text": ["what?"]}
        pq.write_table(pa.table(columns | more), tmp_path / "queries" / f"{at}.parquet")
    pq.write_table(pa.table({"query_id": ["q0", "q1", "q2"], "doc_id": ["e"] * 3}), tmp_path / "qrels.parquet")
    queries = read_corpus(f"parquet:{tmp_path}").queries
    assert queries.select(["topic", "year"]).to_pylist() == [
        {"topic": "moon", "year": None},
        {"topic": None, "year": "1969"},
        {"topic": None, "year": None},
    ]


def test_missing_columns_and_wrong_types_are_all_named(tmp_path):
    docs = {"key": ["e"], "lang": [b"en"], "text": [["a"]]}
    problems = problems_of(write(tmp_path, docs, judged={"query_id": ["q"], "grade": [2.5]}))
    documents, qrels = tmp_path / "documents.parquet", tmp_path / "qrels.parquet"
    assert problems == [
        f"{documents}: column 'doc_id' is missing, it has key, lang, text; add it, or name one by `columns`: "
        "documents.doc_id=...",
        f"{documents}: column 'lang' is binary, not string; convert it",
        f"{documents}: column 'text' is list<element: string>, not string; convert it",
        f"{qrels}: neither 'group_id' nor 'doc_id' is there, it has query_id, grade; add one of them",
        f"{qrels}, row 1: 'grade': 2.5 is not a whole number; write 0 for not relevant, 1 and more for relevant",
    ]


def test_bytes_that_are_not_utf8_are_named_by_row(tmp_path):
    docs = DOCS | {"text": not_utf8(b"ok", b"M\xf6nd")}
    asks = ASKS | {"text": not_utf8(b"\xe6\x9c")}
    assert problems_of(write(tmp_path, docs, asks)) == [
        f"{tmp_path / 'documents.parquet'}, row 2: 'text' is not UTF-8; mend the text",
        f"{tmp_path / 'queries.parquet'}, row 1: 'text' is not UTF-8; mend the text",
    ]


def test_files_that_are_no_parquet_are_all_named(tmp_path):
    write(tmp_path)
    documents, queries = tmp_path / "documents.parquet", tmp_path / "queries.parquet"
    documents.write_bytes(documents.read_bytes()[:-30])
    queries.write_bytes(b"")
    (tmp_path / "qrels.parquet").unlink()
    cut, empty, absent = problems_of(tmp_path)
    assert cut.startswith(f"{documents}: cannot be read as Parquet") and "fetch it again" in cut
    assert empty.startswith(f"{queries}: cannot be read as Parquet")
    assert "qrels.parquet or qrels/*.parquet is read, none is there" in absent
    queries.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    (tmp_path / "qrels.csv").write_text("query-id,corpus-id,score\n")
    _, pointer, absent = problems_of(tmp_path)
    assert pointer == f"{queries}: is a pointer of Git LFS and not the file itself; fetch that with `git lfs pull`"
    assert "none is there, it has qrels.csv: add one" in absent


def test_a_grade_that_does_not_fit_is_named(tmp_path):
    (problem,) = problems_of(write(tmp_path, judged=JUDGED | {"grade": [2**40]}))
    assert "'grade' does not fit int32" in problem and str(2**40) in problem


def test_nulls_are_named_by_row(tmp_path):
    docs = {"doc_id": ["e", None], "lang": ["en", "en"], "text": ["moon", None]}
    problems = problems_of(write(tmp_path, docs))
    assert len(problems) == 3
    assert all(problem.startswith(f"{tmp_path / 'documents.parquet'}, row 2: ") for problem in problems)
