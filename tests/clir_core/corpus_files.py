"""One small corpus in every layout that is read, as files by their names, and ways in which files are damaged."""

import gzip
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

Files = Mapping[str, bytes]
Row = dict[str, Any]

LANGS = ("en", "de")
DOCUMENTS: list[Row] = [
    {"_id": f"{lang}{n}", "lang": lang, "group_id": f"g{n}", "title": f"{lang} {n}", "text": f"text {n} of {lang}"}
    for lang in LANGS
    for n in range(4)
]
QUERIES: list[Row] = [
    {"_id": f"q-{lang}{n}", "lang": lang, "group_id": f"a{n}", "text": f"what is {n} in {lang}?", "topic": f"t{n}"}
    for lang in LANGS
    for n in range(3)
]
QRELS: list[Row] = [
    {"query-id": query["_id"], "corpus-id": f"{lang}{at % 3}", "score": str(1 + at % 2)}
    for at, query in enumerate(QUERIES)
    for lang in LANGS
]


def lines(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(rows: list[Row], mark: str) -> bytes:
    return "".join(mark.join(row) + "\n" for row in [list(rows[0]), *(list(row.values()) for row in rows)]).encode()


def parquet(rows: list[Row] | pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows) if isinstance(rows, list) else rows, sink)
    return sink.getvalue()


def _renamed(rows: list[Row], **names: str) -> list[Row]:
    return [{names.get(name.replace("-", "_"), name): value for name, value in row.items()} for row in rows]


def _squad(lang: str) -> bytes:
    paragraphs = [
        {"context": f"text {n} of {lang}", "qas": [{"id": f"a{n}", "question": f"what is {n} in {lang}?"}]}
        for n in range(4)
    ]
    return json.dumps({"version": "1", "data": [{"title": "t", "paragraphs": paragraphs}]}).encode()


def _of_language(lang: str) -> dict[str, bytes]:
    docs = [{"_id": row["group_id"], "title": row["title"], "text": row["text"]} for row in DOCUMENTS]
    asks = [{"_id": row["group_id"], "text": row["text"]} for row in QUERIES]
    at = LANGS.index(lang)
    judged = [{"query-id": f"a{n}", "corpus-id": f"g{n}", "score": "1"} for n in range(3)]
    return {
        f"{lang}/corpus.tsv": table(docs[4 * at : 4 * at + 4], "\t"),
        f"{lang}/queries.csv": table(asks[3 * at : 3 * at + 3], ","),
        f"{lang}/qrels/test.tsv": table(judged, "\t"),
    }


BEIR: Files = {
    "corpus.jsonl": lines(DOCUMENTS),
    "queries.jsonl": lines(QUERIES),
    "qrels/test.tsv": table(QRELS, "\t"),
}
# each layout, and the kind of its reference
CORPORA: Mapping[str, tuple[str, Files]] = {
    "beir": ("beir", BEIR),
    "packed": (
        "beir",
        {
            "corpus.json.gz": gzip.compress(json.dumps(DOCUMENTS).encode(), mtime=0),
            "queries.tsv": table(QUERIES, "\t"),
            "qrels/dev.jsonl": lines(QRELS),
        },
    ),
    "tables": (
        "beir",
        {
            "corpus.csv": table(DOCUMENTS, ","),
            "queries.csv.gz": gzip.compress(table(QUERIES, ",").replace(b"?", b""), mtime=0),
            "qrels/test.csv": table(QRELS, ","),
        },
    ),
    "languages": ("beir", {**_of_language("en"), **_of_language("de")}),
    "parquet": (
        "parquet",
        {
            "documents.parquet": parquet(_renamed(DOCUMENTS, _id="doc_id")),
            "queries.parquet": parquet(_renamed(QUERIES, _id="query_id")),
            "qrels.parquet": parquet(_renamed(QRELS, query_id="query_id", corpus_id="doc_id", score="grade")),
        },
    ),
    "bitext": (
        "bitext",
        {f"dev.{lang}": "".join(f"line {n} of {lang}\n" for n in range(5)).encode() for lang in LANGS},
    ),
    "xquad": ("xquad", {f"xquad.{lang}.json": _squad(lang) for lang in LANGS}),
    "mlqa": ("mlqa", {f"test/test-context-{lang}-question-{lang}.json": _squad(lang) for lang in LANGS}),
}


def write(directory: Path, files: Files) -> Path:
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory


# what keys and values of these files are, so that they land where something reads them
NAMES = st.sampled_from(
    (
        "_id", "id", "doc_id", "query_id", "query-id", "corpus-id", "score", "grade", "lang", "language", "text",
        "title", "group_id", "metadata", "topic", "context", "qas", "question", "paragraphs", "data", "split", "",
        "text_x", "part", "row", "file", "nth", "q0", "label",
    )
)  # fmt: skip
TEXTS = st.sampled_from(
    (
        "", " ", "en", "de", "xx", "deu_Latn", "en-x-\u0000", "\ufeff", "\u2028", "\x1c", "\x00", "\x1b[2J",
        "q-en0", "en0", "g0", "1", "0", "-1", "1.0", "1e0", "1_0", "\uff11", "nan", "inf", "1e400", "0x1", "true",
        '"', '""', "'", ",", "\t", "\\", "{}", "a" * 70_000,
    )
) | st.text(max_size=5)  # fmt: skip
NUMBERS = st.sampled_from((0, 1, -1, 2, 2**31, 2**53, 2**63, 2**64, 10**400, 1.0, 0.5, -0.0, 1e22, 1e308)) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=4,
)
# what somebody may write for the place of a thing
PLACES = st.sampled_from(
    ("", ".", "..", "/", "~", "~nobody/x", "\x00", "a\x00b", "x" * 300, "x/" * 3_000, "\udcff", "#", "x#y", "/dev/null")
) | st.text(max_size=5)  # fmt: skip
# pieces that no JSON library writes, or that are more than some readers take
PIECES = st.sampled_from(
    (
        b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\r\n", b"\n\n", b"\x0b",
        b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b'"', b'""', b",", b"\t", b"[", b"{", b"]", b"}", b"\x1f\x8b", b"NaN",
        b"1" * 5_000, b"1e999", b"-", b"\\u0000", b"[" * 3_000, b'{"a":' * 3_000, b"x" * 200_000, b"PK\x03\x04",
    )
) | st.binary(max_size=4)  # fmt: skip


def damaged(data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """The bytes of a file after something happened to them."""
    how = draw(st.sampled_from(("piece", "flip", "cut", "lines", "value", "value", "whole", "pack", "coding")))
    at = draw(st.integers(0, len(data)))
    if how == "piece":
        return data[:at] + draw(PIECES) + data[at:]
    if how == "flip":
        return data[:at] + bytes(255 - byte for byte in data[at : at + 1]) + data[at + 1 :]
    if how == "cut":
        return data[:at]
    if how == "lines":
        return _lines_moved(data, draw)
    if how == "value":
        return _value_changed(data, draw)
    if how == "pack":
        return gzip.compress(data, mtime=0) if draw(st.booleans()) else _unpacked(data)
    if how == "coding":
        return data.decode("utf-8", "replace").encode(draw(st.sampled_from(("utf-16", "utf-8-sig", "utf-32"))))
    return bytes(draw(st.binary() | st.text(alphabet='[]{}",:\t\n 1aé').map(str.encode)))


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _lines_moved(data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    found = data.splitlines(keepends=True) or [b""]
    one, other = (draw(st.integers(0, len(found) - 1)) for _ in range(2))
    how = draw(st.sampled_from(("swap", "repeat", "empty", "gone")))
    if how == "swap":
        found[one], found[other] = found[other], found[one]
    else:
        found[one] = {"repeat": found[one] * 2, "empty": b"\n", "gone": b""}[how]
    return b"".join(found)


def _value_changed(data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """JSON, whole or of one line, with one value dropped, renamed or of another kind; of columns, one cell."""
    packed = data.startswith(b"\x1f\x8b")
    found = _unpacked(data).splitlines() or [b""]
    at = draw(st.integers(0, len(found) - 1))
    try:
        value = json.loads(found[at])
        found[at] = json.dumps(_changed(value, draw)).encode()
    except ValueError:
        mark = b"\t" if b"\t" in found[at] else b","
        cells = found[at].split(mark)
        cells[draw(st.integers(0, len(cells) - 1))] = draw(TEXTS | NUMBERS.map(str)).encode()
        found[at] = mark.join(cells)
    changed = b"\n".join(found)
    return gzip.compress(changed, mtime=0) if packed else changed


def _changed(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    if value and isinstance(value, list | dict) and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        how = draw(st.sampled_from(("inside", "inside", "gone", "named")))
        inside = _changed(value[key], draw) if how == "inside" else value[key]
        copy: Any = value.copy()
        del copy[key]
        if how == "gone":
            return copy
        if isinstance(value, list):
            return [*value[:key], inside, *value[key + 1 :]]
        return {**copy, (draw(NAMES) if how == "named" else key): inside}
    return draw(VALUES)


def said_otherwise(name: str, data: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[str, bytes]:
    """The same file, written by others: its new name and content."""
    form = Path(name).suffix
    packable = form in (".jsonl", ".tsv", ".csv") or "dev." in name
    ways = ["ends"] if packable else []
    ways += ["rows", "gaps", "twice"] if form in (".jsonl", ".tsv", ".csv") else []
    ways += ["escaped", "spaced"] if form == ".jsonl" else []
    for how in draw(st.lists(st.sampled_from(ways), max_size=3, unique=True) if ways else st.just([])):
        found = data.split(b"\n")[:-1]
        first, rest = ([], found) if form == ".jsonl" else (found[:1], found[1:])
        if how == "rows":
            data = b"\n".join([*first, *draw(st.permutations(rest)), b""])
        elif how == "gaps":
            data = data.replace(b"\n", b"\n\n")
        elif how == "twice":
            data = b"\n".join([*first, *rest, *rest[:1], b""])
        elif how == "ends":
            data = data.replace(b"\n", b"\r\n")
        elif how == "escaped":
            data = data.replace(b"text", b"\\u0074ext")
        else:
            data = data.replace(b'"}', b'"\t}  ').replace(b": ", b" :\t")
    data = draw(st.sampled_from((b"", b"\xef\xbb\xbf"))) + data
    return (f"{name}.gz", gzip.compress(data)) if packable and draw(st.booleans()) else (name, data)
