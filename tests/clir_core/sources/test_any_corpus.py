"""Whatever the files of a corpus hold: all that a simple reader finds in them, or an error of this project's own."""

import csv
import gzip
import io
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from corpus_files import BEIR, CORPORA, PLACES, QRELS, Files, damaged, lines, said_otherwise, table, write
from hypothesis import given
from hypothesis import strategies as st

from clir_core.corpus.tables import Corpus
from clir_core.errors import ClirError
from clir_core.sources import read_corpus

LAYOUTS = st.sampled_from(sorted(CORPORA))


def read(kind: str, files: Files) -> Corpus:
    with tempfile.TemporaryDirectory() as place:
        return read_corpus(f"{kind}:{write(Path(place) / 'corpus', files)}")


@given(LAYOUTS, st.data())
def test_files_are_a_corpus_or_an_error_of_our_own(layout: str, data: st.DataObject) -> None:
    kind, files = CORPORA[layout]
    changed = dict(files)
    for name in data.draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2, unique=True)):
        changed[name] = damaged(changed[name], data.draw)
    with suppress(ClirError):
        corpus = read(kind, changed)
        corpus.fingerprint()
        if kind != "parquet":
            check_rows(corpus, kind, changed)


def check_rows(corpus: Corpus, kind: str, files: Files) -> None:
    """No text that is not in the files, and none of the files' that is neither in the corpus nor counted."""
    left_out = Counter[str]()
    for skipped in corpus.skipped:
        left_out[skipped.what] += skipped.count
    for what, read_table in (("documents", corpus.documents), ("queries", corpus.queries)):
        found = Counter(simple_texts(kind, what, files))
        texts = Counter(read_table["text"].to_pylist())
        assert texts.keys() <= found.keys()
        assert len(read_table) + left_out[what] == found.total()


def simple_texts(kind: str, what: str, files: Files) -> Iterator[str]:
    """The texts of the documents or queries, as the standard library reads them."""
    for name, data in files.items():
        data = gzip.decompress(data) if name.endswith(".gz") else data
        text = data.decode("utf-8-sig")
        if kind in ("xquad", "mlqa"):
            yield from squad_texts(kind, what, json.loads(text))
        elif kind == "bitext":
            yield from (line.strip() for line in text.split("\n") if line.strip(" \t\r\v\f"))
        elif Path(name).name.startswith({"documents": "corpus", "queries": "queries"}[what]):
            yield from (as_text(row.get("text")) for row in simple_rows(name, text))


def squad_texts(kind: str, what: str, squad: Any) -> Iterator[str]:
    found = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]]
    contexts = [paragraph["context"] for paragraph in found]
    if what == "documents":
        # MLQA repeats a paragraph for its further questions
        yield from dict.fromkeys(contexts) if kind == "mlqa" else contexts
    else:
        yield from (asked["question"] for paragraph in found for asked in paragraph["qas"])


def simple_rows(name: str, text: str) -> Iterator[dict[str, Any]]:
    form = Path(name.removesuffix(".gz")).suffix
    if form == ".csv":
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    elif form == ".tsv":
        rows = [[cell.strip() for cell in line.split("\t")] for line in text.split("\n") if line.strip(" \t\r\v\f")]
    else:
        lines = [line for line in text.split("\n") if line.strip()]
        yield from json.loads(text) if text.lstrip().startswith("[") else map(json.loads, lines)
        return
    rows = [row for row in rows if any(row)]
    if not rows:
        return
    names = [name.strip().lower() for name in rows[0]]
    # without a header: an id and a text
    if (
        names[0] not in IDS
        and sum(name in (*IDS, "text", "title", "lang", "language", "group_id") for name in names) < 2
    ):
        names, rows = ["_id", "text"], [[], *rows]
    yield from (dict(zip(names, row, strict=False)) for row in rows[1:])


IDS = ("_id", "id", "doc_id", "query_id", "query-id", "corpus-id")


def as_text(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return "" if value is None else str(int(value) if whole else value)  # type: ignore[call-overload]


@given(st.sampled_from(sorted(set(CORPORA) - {"packed", "parquet"})), st.data())
def test_what_says_the_same_is_read_the_same(layout: str, data: st.DataObject) -> None:
    kind, files = CORPORA[layout]
    packed = {name for name in files if name.endswith(".gz")}
    changed = dict(
        (name, content) if name in packed else said_otherwise(name, content, data.draw)
        for name, content in files.items()
    )
    assert read(kind, changed).fingerprint() == fingerprint(layout)


@cache
def fingerprint(layout: str) -> str:
    return read(*CORPORA[layout]).fingerprint()


# one grade in the notations of the field, what it means to a reader of whole numbers, None where to nobody
GRADES = st.sampled_from(
    ("0", "1", "2", "-1", "+1", "1.0", "1.", "1e0", "10e-1", "01", "0.5", "1_0", "2147483647", "2147483648", "1e400",
     "nan", "inf", "-0", "0x1", "true", "yes", "1,0", "\u0661", "½", "1 1", "--1", "", " ", "\x00", "9" * 5000, "1e-9")
) | st.integers().map(str) | st.floats().map(str) | st.text(max_size=3)  # fmt: skip


def meant(grade: str) -> int | None:
    try:
        number = Decimal(grade) if "_" not in grade else Decimal("NaN")
    except InvalidOperation:
        return None
    is_whole = number.is_finite() and abs(number) < 2**31 and number == int(number)
    return int(number) if is_whole else None


@given(st.sampled_from(("tsv", "csv", "jsonl", "trec")), GRADES)
def test_a_grade_means_what_it_says_or_is_refused(form: str, grade: str) -> None:
    rows = [{"query-id": "q-en0", "corpus-id": "en1", "score": grade}, {**QRELS[0], "score": "1"}]
    if form == "trec":
        judged = "".join(f"{row['query-id']} 0 {row['corpus-id']} {row['score']}\n" for row in rows).encode()
    else:
        judged = lines(rows) if form == "jsonl" else table(rows, "\t" if form == "tsv" else ",")
    files = {name: data for name, data in BEIR.items() if not name.startswith("qrels")} | {f"qrels/test.{form}": judged}
    with suppress(ClirError):
        found = {row["doc_id"]: row["grade"] for row in read("beir", files).qrels.to_pylist()}
        expected = meant(grade.strip())
        assert expected is not None
        assert found.get("en1") == (expected if expected > 0 else None)


@given(st.sampled_from(("beir", "parquet", "xquad", "bitext", "mlqa", "demo", "", "x")), PLACES)
def test_so_is_any_reference(kind: str, place: str) -> None:
    with suppress(ClirError):
        read_corpus(f"{kind}:{place}")
