"""Whatever a Parquet file or a run holds: vectors, triples and scores, or an error of this project's own."""

import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpus_files import CORPORA, Files, damaged, parquet, write
from hypothesis import given
from hypothesis import strategies as st

from clir_core.align.data import read_triples, write_triples
from clir_core.errors import ClirError
from clir_core.model.run_file import read_run
from clir_core.model.vector_tables import GivenVectors
from clir_core.sources import read_corpus

ROWS = 4
IDS = [f"d{n}" for n in range(ROWS)]
VECTORS = {"kind": ["document", "query"] * 2, "id": IDS, "vector": np.eye(ROWS, dtype="f4").tolist()}
SIDES = ("q_en", "p_en", "p_x", "q_x")
TRIPLES = dict.fromkeys(("triple_id", "group_id", "query_group_id"), IDS) | {
    "lang": ["de"] * ROWS,
    **{name: [f"{name} {n}" for n in range(ROWS)] for name in SIDES},
    "negatives": [["no"], [], [], []],
}
ARRAYS = (
    pa.array([None] * ROWS),
    pa.array([0, 1, 2, 3]),
    pa.array([0.5, float("nan"), 1e300, 2]),
    pa.array([True] * ROWS),
    pa.array(["a", None, "", " "]),
    pa.array([b"\xff"] * ROWS),
    pa.array([b"\xff", b"a", b"b", b"c"]).view(pa.string()),
    pa.array(["a"] * ROWS).dictionary_encode(),
    pa.array(["a"] * ROWS, pa.large_string()),
    pa.array([[1.0], [2.0, 3.0], [], None]),
    pa.array([[1, None]] * ROWS),
    pa.array([[b"\xff"]] * ROWS).cast(pa.list_(pa.binary())),
    pa.array([{"a": 1}] * ROWS),
    pa.array([[("a", 1.0)]] * ROWS, pa.map_(pa.string(), pa.float64())),
    pa.array([[[1.0]]] * ROWS, pa.list_(pa.list_(pa.float32()))),
    pa.FixedSizeListArray.from_arrays(pa.array(range(ROWS * 2), pa.float16()), 2),
    pa.FixedSizeListArray.from_arrays(pa.array([float("inf")] * ROWS * 2), 2),
    pa.array([2**63] * ROWS, pa.uint64()),
    pa.array([1] * ROWS, pa.timestamp("s")),
    pa.array([1] * ROWS).cast(pa.decimal128(30, 2)),
)


def columns_changed(table: pa.Table, draw: Callable[[st.SearchStrategy[object]], object]) -> pa.Table:
    """A table with one column gone, of another name or type, or there twice."""
    for _ in range(draw(st.integers(1, 2))):  # type: ignore[call-overload]
        if not table.column_names:
            break
        at = draw(st.integers(0, len(table.column_names) - 1))
        name = str(draw(st.sampled_from(("split", "score", "title", *table.column_names))))
        how = draw(st.sampled_from(("gone", "named", "twice", "typed", "typed", "typed")))
        fitting = [array for array in ARRAYS if len(array) == ROWS]
        values = pa.concat_arrays([draw(st.sampled_from(fitting))] * (1 + len(table) // ROWS))[: len(table)]
        if how == "gone":
            table = table.remove_column(at)
        elif how == "named":
            table = table.rename_columns([name if i == at else one for i, one in enumerate(table.column_names)])
        elif how == "twice":
            table = table.append_column(name, table.column(at))
        else:
            table = table.set_column(at, table.column_names[at], values)
    return table


def changed(table: pa.Table, data: st.DataObject) -> bytes:
    """The file of a table whose columns, or whose bytes, were changed."""
    if data.draw(st.booleans()):
        return damaged(parquet(table), data.draw)
    return parquet(columns_changed(table, data.draw))


@given(st.data())
def test_vectors(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        write(Path(place), {"vectors.parquet": changed(pa.table(VECTORS), data)})
        given_vectors = GivenVectors(f"vectors:{place}", None, True)
        given_vectors.check({"document": IDS[::2], "query": IDS[1::2]})
        for kind, ids in (("document", IDS[::2]), ("query", IDS[1::2])):
            for found, vectors in given_vectors.batches(kind, ids):  # type: ignore[arg-type]
                assert set(found) <= set(ids)
                assert np.isfinite(vectors).all() and vectors.shape == (len(found), given_vectors.dim)


@given(st.data())
def test_vectors_in_several_files(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        files = {"vectors/0.parquet": parquet(pa.table(VECTORS)), "vectors/1.parquet": changed(pa.table(VECTORS), data)}
        write(Path(place), files)
        GivenVectors(f"vectors:{place}", None, True).check({"document": IDS[::2], "query": IDS[1::2]})


@given(st.data())
def test_triples(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        path = write(Path(place), {"t.parquet": changed(pa.table(TRIPLES), data)}) / "t.parquet"
        triples = read_triples(path)
        write_triples(triples, path)
        assert read_triples(path).equals(triples)


@given(st.sampled_from(("documents.parquet", "queries.parquet", "qrels.parquet")), st.data())
def test_the_tables_of_a_corpus(name: str, data: st.DataObject) -> None:
    files: Files = CORPORA["parquet"][1]
    table = columns_changed(pq.read_table(io.BytesIO(files[name])), data.draw)
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        write(Path(place) / "corpus", {**files, name: parquet(table)})
        corpus = read_corpus(f"parquet:{place}/corpus")
        corpus.fingerprint()
        whole = {"documents.parquet": corpus.documents, "queries.parquet": corpus.queries}.get(name)
        left_out = sum(one.count for one in corpus.skipped if name.startswith(one.what))
        assert whole is None or len(whole) + left_out == len(table)


RUN = b"".join(b"q%d Q0 d%d %d %f tag\n" % (q, d, d + 1, 9 - d) for q in range(2) for d in range(3))
WORDS = st.sampled_from(
    (b"0", b"-1", b"1e400", b"nan", b"1_0", b"9" * 30, b"9" * 5_000, b"\xd9\xa1", b"\x00", b"\x1c", b"x")
)


@given(st.data())
def test_runs(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        run = damaged(RUN, data.draw)
    else:
        words = RUN.split(b" ")
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(WORDS)
        run = b" ".join(words)
    with tempfile.TemporaryDirectory() as place, suppress(ClirError):
        rows = read_run(write(Path(place), {"a.run": run}) / "a.run").rows
        lines = [line.split() for line in run.decode("utf-8-sig").split("\n") if line.strip()]
        assert {(line[0], line[2], float(line[4])) for line in lines} == set(
            rows.select("query_id", "doc_id", "score").iter_rows()
        )
