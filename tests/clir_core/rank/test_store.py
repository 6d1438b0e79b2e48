"""The vector table against plain dictionaries, and what is left of it when a disk is full or a path is wrong."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
import pytest
from vectors_case import DIM, put, texts, vectors_of

from clir_core.errors import StoreError
from clir_core.rank.store import VectorTable, rows, table_name


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "workspace" / "lancedb")


@pytest.fixture
def table(uri: str) -> VectorTable:
    return VectorTable.create(uri, "t", DIM)


def test_vectors_come_back_to_the_bit_in_the_order_asked_for(table: VectorTable, uri: str) -> None:
    for start in range(0, 3000, 500):
        put(table, start, start + 500)
    order = np.random.default_rng(1).integers(0, 3000, 4000)  # shuffled, some twice, some never
    wanted = texts(0, 3000)[order]
    again = VectorTable(uri, "t")
    found = again.find(wanted)
    assert found.drop("row_id").equals(wanted)
    np.testing.assert_array_equal(again.vectors(found["row_id"].to_numpy()), vectors_of(0, 3000)[order])
    assert again.vectors(np.empty(0, np.uint64)).shape == (0, DIM)


def test_a_text_is_found_by_id_and_hash_together(table: VectorTable) -> None:
    put(table, 0, 10)
    wanted = pl.concat([texts(0, 3), texts(3, 6, "changed"), texts(9, 12)])
    missing = table.find(wanted)["row_id"].is_null().to_list()
    assert missing == [False] * 3 + [True] * 3 + [False, True, True]
    assert table.find(wanted.clear()).is_empty()
    assert table.find(wanted.select("text_hash", "id", extra=pl.lit(1))).columns == [
        "text_hash",
        "id",
        "extra",
        "row_id",
    ]


def test_nothing_is_found_in_an_empty_table(table: VectorTable) -> None:
    assert table.find(texts(0, 5))["row_id"].null_count() == 5


def test_a_changed_text_has_its_old_row_and_a_new_one(table: VectorTable) -> None:
    put(table, 0, 4)
    table.append(rows(texts(2, 3, "new"), vectors_of(2, 3, seed=1)))
    found = table.find(pl.concat([texts(2, 3), texts(2, 3, "new")]))["row_id"].to_numpy()
    expected = np.concatenate([vectors_of(2, 3), vectors_of(2, 3, seed=1)])
    np.testing.assert_array_equal(table.vectors(found), expected)


def test_rows_written_twice_count_once(table: VectorTable, uri: str) -> None:
    other = VectorTable(uri, "t")  # another run that started at the same time
    put(table, 0, 20)
    put(other, 10, 30)
    again = VectorTable(uri, "t")
    found = again.find(texts(0, 30))
    assert found["id"].to_list() == texts(0, 30)["id"].to_list()
    np.testing.assert_array_equal(again.vectors(found["row_id"].to_numpy()), vectors_of(0, 30))


def test_a_table_is_there_after_it_was_made(uri: str) -> None:
    assert not VectorTable.exists(uri, "t")
    table = VectorTable.create(uri, "t", DIM)
    put(table, 0, 5)
    assert VectorTable.exists(uri, "t") and not VectorTable.exists(uri, "other")
    assert VectorTable.create(uri, "t", DIM).find(texts(0, 5))["row_id"].null_count() == 0
    assert (table.uri, table.name, table.dim) == (uri, "t", DIM)


def test_another_models_dimension_is_refused_and_changes_nothing(table: VectorTable, uri: str) -> None:
    put(table, 0, 5)
    with pytest.raises(StoreError, match=f"{uri}, table t: holds vectors of 8 dimensions, the model gives 16"):
        VectorTable.create(uri, "t", 16)
    with pytest.raises(StoreError):
        table.append(rows(texts(5, 6), vectors_of(5, 6, 16)))
    found = VectorTable(uri, "t").find(texts(0, 6))["row_id"]
    assert found.is_null().to_list() == [False] * 5 + [True]


def test_a_vector_with_nan_is_refused_and_its_shard_with_it(table: VectorTable, uri: str) -> None:
    bad = vectors_of(0, 5)
    bad[3, 2] = np.nan
    with pytest.raises(StoreError, match="NaN"):
        table.append(rows(texts(0, 5), bad))
    assert VectorTable(uri, "t").find(texts(0, 5))["row_id"].null_count() == 5


def test_a_version_stays_as_it_was_read(table: VectorTable, uri: str) -> None:
    put(table, 0, 5)
    table.tag("audit-1", move=False)
    old = table.version
    put(table, 5, 10)
    table.tag("audit-2", move=False)
    then, now = VectorTable(uri, "t", old), VectorTable(uri, "t")
    assert then.version == old < now.version
    assert then.find(texts(0, 10))["row_id"].null_count() == 5
    assert now.find(texts(0, 10))["row_id"].null_count() == 0
    np.testing.assert_array_equal(then.vectors(then.find(texts(0, 5))["row_id"].to_numpy()), vectors_of(0, 5))
    tags = lancedb.connect(uri).open_table("t").tags.list()
    assert {name: tag["version"] for name, tag in tags.items()} == {"audit-1": old, "audit-2": now.version}


def test_a_tag_stays_where_the_audits_first_run_read(table: VectorTable, uri: str) -> None:
    first = table.version
    assert table.tag("audit", move=False) == first
    put(table, 0, 5)
    assert table.version > first
    assert table.tag("audit", move=False) == first
    assert lancedb.connect(uri).open_table("t").tags.list()["audit"]["version"] == first


def test_a_tag_moves_to_rows_that_were_written_for_it(table: VectorTable, uri: str) -> None:
    table.tag("audit", move=True)
    put(table, 0, 5)
    assert table.tag("audit", move=True) == table.version
    then = VectorTable(uri, "t", lancedb.connect(uri).open_table("t").tags.get_version("audit"))
    assert then.find(texts(0, 5))["row_id"].null_count() == 0


def test_a_tagged_version_outlives_a_cleanup(table: VectorTable, uri: str) -> None:
    put(table, 0, 5)
    table.tag("audit", move=False)
    put(table, 5, 10)
    with pytest.raises(RuntimeError, match="tagged version"), warnings.catch_warnings(action="ignore"):
        lancedb.connect(uri).open_table("t").optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
    then = VectorTable(uri, "t", table.version - 1)
    np.testing.assert_array_equal(then.vectors(then.find(texts(0, 5))["row_id"].to_numpy()), vectors_of(0, 5))


def test_a_table_deleted_while_it_is_read_is_no_crash(table: VectorTable, uri: str) -> None:
    put(table, 0, 5)
    with pytest.raises(StoreError, match="rows are gone"):
        table.vectors(np.array([0, 99], np.uint64))
    for file in (Path(uri) / "t.lance" / "data").iterdir():
        file.unlink()
    with pytest.raises(StoreError, match=uri):
        VectorTable(uri, "t").vectors(np.array([0], np.uint64))


def test_a_missing_table_is_named(uri: str) -> None:
    with pytest.raises(StoreError, match=f"{uri}: cannot be read or written .*'t' was not found"):
        VectorTable(uri, "t")


@pytest.mark.parametrize("below", ["", "/lancedb"])
def test_a_file_in_place_of_the_directory_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    place = f"{tmp_path}/file{below}"
    for use in (VectorTable.exists, lambda uri, name: VectorTable.create(uri, name, DIM)):
        with pytest.raises(StoreError, match=f"{place}: cannot be read or written .*; check"):
            use(place, "t")
    assert (tmp_path / "file").read_text() == "x"


def test_a_directory_that_cannot_be_written_is_named() -> None:
    # /proc refuses root as well
    with pytest.raises(StoreError, match=r"^/proc/clir: cannot be read or written"):
        VectorTable.create("/proc/clir", "t", DIM)


@pytest.mark.parametrize("name", ["en", "a/b c", "模型", "org/name@rev", "e5-small_v2.1", ".."])
def test_a_name_made_of_any_parts_is_a_tables_name(name: str, tmp_path: Path) -> None:
    made = table_name([name, "query"])
    VectorTable.create(str(tmp_path), made, DIM)
    assert VectorTable.exists(str(tmp_path), made)
    assert made.endswith("-query")


def test_a_tables_name_is_its_parts_where_they_can_stand() -> None:
    assert table_name(["xquad", "multilingual-e5-small", "0a1b"]) == "xquad-multilingual_e5_small-0a1b"


# no space


def test_a_full_disk_is_named_and_what_was_committed_stays(small_disk: Callable[[int], Path]) -> None:
    uri = str(small_disk(2048) / "lancedb")
    table = VectorTable.create(uri, "t", 64)
    put(table, 0, 500, 64)
    with pytest.raises(StoreError, match=f"{uri}: no space left; .*`workspace`.* run again"):
        table.append(rows(texts(500, 20_000), np.ones((19_500, 64), np.float32)))
    for reader in (table, VectorTable(uri, "t")):
        found = reader.find(texts(0, 501))["row_id"]
        assert found.is_null().to_list() == [False] * 500 + [True]
        np.testing.assert_array_equal(reader.vectors(found[:500].to_numpy()), vectors_of(0, 500, 64))
    # and with space again the run goes on
    put(table, 500, 600, 64)
    assert VectorTable(uri, "t").find(texts(0, 600))["row_id"].null_count() == 0


LIMITED = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from clir_core.errors import StoreError
from clir_core.rank.store import VectorTable
from vectors_case import put, texts
table = VectorTable.create({uri!r}, "t", 64)
put(table, 0, 500, 64)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    put(table, 500, 2000, 64)
except StoreError as error:
    print(error)
print(table.find(texts(0, 501))["row_id"].null_count())
"""


def test_a_file_that_may_not_grow_is_as_good_as_a_full_disk(uri: str) -> None:
    """Without root: a process whose files may not be larger than 200 kB."""
    code = LIMITED.format(tests=str(Path(__file__).parents[1]), uri=uri)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    message, missing = done.stdout.splitlines()[-2:]
    assert message.startswith(f"{uri}: no space left;")
    assert missing == "1"
    assert VectorTable(uri, "t").find(texts(0, 501))["row_id"].null_count() == 1


# texts that were cut


def test_what_is_known_of_cut_texts_comes_back(table: VectorTable, uri: str) -> None:
    table.append(rows(texts(0, 4), vectors_of(0, 4), np.array([True, False, False, True])))
    put(table, 4, 6)  # of these it is not known
    found = VectorTable(uri, "t").cuts(texts(0, 7)[::-1])
    assert found["is_cut"].to_list() == [None, None, None, True, False, False, True]
    assert found.drop("is_cut").equals(texts(0, 7)[::-1])


def test_a_table_without_the_column_is_read_and_written_on(uri: str) -> None:
    older = rows(texts(0, 3), vectors_of(0, 3)).drop_columns("is_cut")
    lancedb.connect(uri).create_table("t", older)
    before = VectorTable(uri, "t")
    assert before.cuts(texts(0, 3))["is_cut"].to_list() == [None] * 3
    version, places = before.version, before.find(texts(0, 3))["row_id"].to_list()
    table = VectorTable.create(uri, "t", DIM)
    table.append(rows(texts(3, 5), vectors_of(3, 5), np.array([True, False])))
    again = VectorTable(uri, "t")
    assert again.cuts(texts(0, 5))["is_cut"].to_list() == [None, None, None, True, False]
    found = again.find(texts(0, 5))["row_id"]
    assert found[:3].to_list() == places
    np.testing.assert_array_equal(again.vectors(found.to_numpy()), vectors_of(0, 5))
    assert VectorTable(uri, "t", version).cuts(texts(0, 5))["is_cut"].null_count() == 5
