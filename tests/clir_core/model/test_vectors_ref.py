"""References of stored vectors: how they are written, and which tables they find."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clir_core.errors import ModelError
from clir_core.model.vectors_ref import VectorsRef, is_there, name_of, parse, tables_of

EMPTY = pa.table({"id": pa.array([], pa.string())})


def write(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(EMPTY, file)


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("vectors:/x/run7", VectorsRef("/x/run7")),
        ("vectors:s3://b/db?table=t&id=key&vector=emb", VectorsRef("s3://b/db", table="t", id="key", vector="emb")),
        ("vectors:/x?documents=d&queries=q", VectorsRef("/x", documents="d", queries="q")),
        ("vectors:/x?similarity=dot&kind=what%20kind", VectorsRef("/x", similarity="dot", kind="what kind")),
    ],
)
def test_a_reference_is_a_place_and_names(ref: str, found: VectorsRef) -> None:
    assert parse(ref) == found
    assert parse(str(found)) == found


def test_a_relative_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(parse("vectors:run7?table=t")) == f"vectors:{tmp_path.resolve()}/run7?table=t"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("vectors:", "names no place; write vectors:DIR"),
        ("vectors:x?tabel=t", "'tabel' is not known; write vectors:DIR, or vectors:URI[?]table=NAME"),
        ("vectors:x?similarity=l2", "ranks by 'l2'; write similarity=cosine or similarity=dot"),
        ("vectors:x?documents=d", "name one table, or both of documents and queries"),
        ("vectors:x?documents=d&queries=q&table=t", "name one table, or both of documents and queries"),
    ],
)
def test_what_is_no_reference_is_refused(ref: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse(ref)


@pytest.mark.parametrize(
    ("files", "ref", "document", "query"),
    [
        (["run/vectors.parquet"], "run", ["vectors.parquet"], ["vectors.parquet"]),
        (["run/vectors.parquet"], "run/vectors.parquet", ["vectors.parquet"], ["vectors.parquet"]),
        (["run/e5.parquet"], "run", ["e5.parquet"], ["e5.parquet"]),
        (["run/documents.parquet", "run/queries.parquet"], "run", ["documents.parquet"], ["queries.parquet"]),
        (["run/documents/2.parquet", "run/documents/1.parquet", "run/queries.parquet"], "run",
         ["1.parquet", "2.parquet"], ["queries.parquet"]),
        (["run/a.parquet", "run/b.parquet"], "run?documents=b&queries=a", ["b.parquet"], ["a.parquet"]),
        (["run/a.parquet", "run/b.parquet"], "run?table=b", ["b.parquet"], ["b.parquet"]),
    ],
)  # fmt: skip
def test_tables_are_found(files: list[str], ref: str, document: list[str], query: list[str], tmp_path: Path) -> None:
    write(*(tmp_path / file for file in files))
    tables = tables_of(f"vectors:{tmp_path}/{ref}")
    assert [file.name for file in tables["document"].files] == document
    assert [file.name for file in tables["query"].files] == query


@pytest.mark.parametrize(
    ("files", "ref", "message"),
    [
        ([], "gone", "no such directory, Parquet file or Lance table"),
        (["run/readme.txt"], "run", "has no tables; it needs vectors.parquet with kind, id and vector, or documents"),
        (["run/a.parquet", "run/b.parquet"], "run", "has a, b; it needs vectors.parquet"),
        (["run/a.parquet"], "run?table=b", "has no table b; it has a"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(files: list[str], ref: str, message: str, tmp_path: Path) -> None:
    write(*(tmp_path / file for file in files))
    with pytest.raises(ModelError, match=message):
        tables_of(f"vectors:{tmp_path}/{ref}")


def test_a_table_of_an_object_store_is_named_and_passed_on() -> None:
    with pytest.raises(ModelError, match="say which table"):
        tables_of("vectors:s3://bucket/db")
    table = tables_of("vectors:s3://bucket/db?table=t")["document"]
    assert (table.uri, table.name) == ("s3://bucket/db", "t")
    assert is_there("vectors:s3://bucket/db?table=t") and not is_there("vectors:/nowhere")


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("vectors:/x/run7", "run7"),
        ("vectors:/x/run7/vectors.parquet", "run7"),
        ("vectors:/x/e5.parquet", "e5"),
        ("vectors:/x/db/e5.lance", "e5"),
        ("vectors:s3://bucket/db?table=t", "db-t"),
        ("vectors:s3://bucket?table=t", "bucket-t"),
    ],
)
def test_what_it_is_called(ref: str, name: str) -> None:
    assert name_of(ref) == name
