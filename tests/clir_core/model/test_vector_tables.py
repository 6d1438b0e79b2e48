"""Vectors that others stored, in every type that Arrow has for them: the same numbers, or an error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.errors import ModelError, StoreError, VectorsError
from clir_core.model.vector_tables import GivenVectors
from clir_core.workspace.lance import connect

N, DIM = 6, 4
IDS = [f"d{i}" for i in range(N)]
RAW = np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float16)  # a number in every type
UNIT = RAW.astype("f8") / np.linalg.norm(RAW.astype("f8"), axis=1, keepdims=True)

Column = Callable[[np.ndarray], Any]


def tensors(vectors: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(vectors, "f4"))


def fixed(vectors: np.ndarray, kind: Any = None) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), kind or pa.float32()), vectors.shape[1])


COLUMNS: dict[str, Column] = {
    "fixed_size_list<float32>": fixed,
    "fixed_size_list<float64>": lambda vectors: fixed(vectors, pa.float64()),
    "list<float16>": lambda vectors: pa.array(list(vectors), pa.list_(pa.float16())),
    "list<float32>": lambda vectors: pa.array(list(vectors), pa.list_(pa.float32())),
    "large_list<float64>": lambda vectors: pa.array(list(vectors.astype("f8")), pa.large_list(pa.float64())),
    "tensor": tensors,
}


def table(column: Any, ids: list[Any] = IDS, kinds: list[str] | None = None) -> pa.Table:
    return pa.table({"kind": kinds or ["document"] * (N - 2) + ["query"] * 2, "id": ids, "vector": column})


def given(place: Path, made: pa.Table, truncate_dim: int | None = None, normalize: bool = True) -> GivenVectors:
    pq.write_table(made, place / "vectors.parquet", row_group_size=2)
    return GivenVectors(f"vectors:{place}", truncate_dim, normalize)


def read(vectors: GivenVectors, kind: Any, ids: list[str]) -> dict[str, np.ndarray]:
    return {key: vector for batch, rows in vectors.batches(kind, ids) for key, vector in zip(batch, rows, strict=True)}


@pytest.mark.parametrize("name", COLUMNS)
def test_any_type_of_vectors_is_read(name: str, tmp_path: Path) -> None:
    vectors = given(tmp_path, table(COLUMNS[name](RAW)))
    assert vectors.check({"document": IDS[:4], "query": IDS[4:]}) == ()
    documents, queries = read(vectors, "document", IDS), read(vectors, "query", IDS)
    assert (list(documents), list(queries), vectors.dim) == (IDS[:4], IDS[4:], DIM)
    np.testing.assert_allclose([*documents.values(), *queries.values()], UNIT, atol=1e-6)


def test_dot_products_leave_them_as_they_are_and_fewer_dimensions_are_the_first(tmp_path: Path) -> None:
    raw = given(tmp_path, table(fixed(RAW)), normalize=False)
    np.testing.assert_array_equal(list(read(raw, "document", IDS[:4]).values()), RAW[:4].astype("f4"))
    short = given(tmp_path, table(fixed(RAW)), truncate_dim=2)
    right = RAW[:4, :2].astype("f8") / np.linalg.norm(RAW[:4, :2].astype("f8"), axis=1, keepdims=True)
    np.testing.assert_allclose(list(read(short, "document", IDS[:4]).values()), right, atol=1e-6)
    assert short.dim == 2


def test_numbers_are_ids_and_kinds_are_written_as_people_do(tmp_path: Path) -> None:
    kinds = ["Document", "documents", "passage", "doc", "QUERY", "queries"]
    vectors = given(tmp_path, table(fixed(RAW), list(range(N)), kinds))
    vectors.check({"document": ["0", "1", "2", "3"], "query": ["4", "5"]})
    assert list(read(vectors, "query", ["4", "5"])) == ["4", "5"]


def test_two_tables_need_no_kind_and_columns_have_names(tmp_path: Path) -> None:
    for name, ids in (("documents", IDS[:4]), ("queries", IDS[4:])):
        rows = [IDS.index(one) for one in ids]
        pq.write_table(pa.table({"key": ids, "e5": fixed(RAW[rows])}), tmp_path / f"{name}.parquet")
    vectors = GivenVectors(f"vectors:{tmp_path}?id=key&vector=e5", None, True)
    vectors.check({"document": IDS[:4], "query": IDS[4:]})
    with pytest.raises(ModelError, match=r"documents.parquet has the columns key, e5; name those of ids and vectors"):
        GivenVectors(f"vectors:{tmp_path}", None, True)


def test_a_lance_table_is_read_by_its_database_or_its_directory(tmp_path: Path) -> None:
    connect(str(tmp_path)).create_table("mine", table(fixed(RAW)))
    for ref in (f"vectors:{tmp_path}?table=mine", f"vectors:{tmp_path}/mine.lance", f"vectors:{tmp_path}"):
        vectors = GivenVectors(ref, None, True)
        vectors.check({"document": IDS[:4], "query": IDS[4:]})
        np.testing.assert_allclose(list(read(vectors, "document", IDS).values()), UNIT[:4], atol=1e-6)


def test_what_is_superfluous_is_counted(tmp_path: Path) -> None:
    notes = given(tmp_path, table(fixed(RAW))).check({"document": ["d1"], "query": IDS[4:]})
    assert notes == ("3 vectors are of no document of this corpus",)


def changed(at: int, value: Any) -> np.ndarray:
    vectors = RAW.astype("f8")
    vectors[at] = value
    return vectors


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (table(fixed(RAW), [*"abc", *IDS[3:]]), r"vector for 3 of 4 documents: d0, d1, d2 \(it has ids such as a\); "),
        (table(fixed(RAW), kinds=["document"] * N), r"no vector for 2 of 2 queries: d4, d5; add them, or"),
        (table(fixed(RAW), ["x", *IDS[1:5], "y"]), "1 of 4 documents: d0 .*; no vector for 1 of 2 queries: d5"),
        (table(fixed(changed(2, np.nan))), "NaN or infinity in the vectors of the documents d2; encode them again"),
        (table(fixed(changed(5, np.inf))), "NaN or infinity in the vectors of the queries d5"),
        (table(fixed(changed(0, 1e300), pa.float64())), "NaN or infinity in the vectors of the documents d0"),
        (table(fixed(changed(1, 0))), "nothing but zeros in the vectors of the documents d1"),
        (table([[1.0, 2.0], *RAW[1:].tolist()]), r"most vectors have 4 dimensions, but not d0 \(2\)|d0 \(2\)"),
        (table([*RAW[:5].tolist(), None]), "null in place of the vectors of d5"),
        (table(["text"] * N), "a column of string, where lists of numbers are expected|no vectors in column"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(made: pa.Table, message: str, tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match=message):
        given(tmp_path, made).check({"document": IDS[:4], "query": IDS[4:]})


def test_what_nobody_asks_for_may_be_wrong(tmp_path: Path) -> None:
    vectors = given(tmp_path, table(fixed(changed(2, np.nan))))
    vectors.check({"document": ["d0", "d1", "d3"], "query": IDS[4:]})


def test_a_vector_may_stand_there_twice_but_not_two(tmp_path: Path) -> None:
    ids, kinds = [*IDS, "d1"], ["document"] * 4 + ["query"] * 2 + ["document"]
    wanted: Any = {"document": IDS[:4], "query": IDS[4:]}
    given(tmp_path, table(fixed(np.vstack([RAW, RAW[1]])), ids, kinds)).check(wanted)
    twice = given(tmp_path, table(fixed(np.vstack([RAW, RAW[2]])), ids, kinds))
    with pytest.raises(VectorsError, match="several vectors that differ for the documents d1; encode them again"):
        twice.check(wanted)


def test_documents_and_queries_of_other_sizes_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": IDS, "vector": fixed(RAW)}), tmp_path / "documents.parquet")
    pq.write_table(pa.table({"id": IDS, "vector": fixed(RAW[:, :2])}), tmp_path / "queries.parquet")
    with pytest.raises(VectorsError, match="documents have 4 dimensions and queries 2; give both of one model"):
        GivenVectors(f"vectors:{tmp_path}", None, True)


def test_one_table_says_which_is_which(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"needs a column that says which is which; name it with \?kind=COLUMN"):
        given(tmp_path, table(fixed(RAW)).drop_columns(["kind"]))


def test_files_that_are_none_and_tables_that_are_gone(tmp_path: Path) -> None:
    (tmp_path / "vectors.parquet").write_bytes(b"half a file")
    with pytest.raises(StoreError, match=r"vectors\.parquet: cannot be read or written"):
        GivenVectors(f"vectors:{tmp_path}", None, True)
