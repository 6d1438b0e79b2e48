"""A file written frame by frame reads as the frames in their order, a row group each, and is whole or not there."""

import resource
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from clir_core.errors import StoreError
from clir_core.workspace.frames import frames_into


def write_all(path: Path, *frames: pl.DataFrame) -> None:
    with frames_into(path) as write:
        for frame in frames:
            write(frame)


def test_frames_come_back_in_their_order(tmp_path: Path) -> None:
    whole = pl.DataFrame({"a": ["x", None, "z", "ü"], "b": pl.Series([1, 2, None, 4], dtype=pl.Int32)})
    path = tmp_path / "all.parquet"
    write_all(path, whole[:3], whole.clear(), whole[3:])
    assert pl.read_parquet(path).equals(whole)
    assert pl.read_parquet_schema(path) == whole.schema
    with pq.ParquetFile(path) as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [3, 0, 1]
    assert [found.name for found in tmp_path.iterdir()] == ["all.parquet"]


def test_an_error_midway_is_its_own_and_leaves_what_was_there(tmp_path: Path) -> None:
    path, old = tmp_path / "all.parquet", pl.DataFrame({"a": [1]})
    write_all(path, old)

    def frames() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame({"a": [2]})
        raise ValueError("of whoever makes the frames")

    with pytest.raises(ValueError, match="of whoever makes the frames"):
        write_all(path, *frames())
    with pytest.raises(ZeroDivisionError), frames_into(path) as write:
        write(old[: 1 // 0])
    assert pl.read_parquet(path).equals(old)
    assert [found.name for found in tmp_path.iterdir()] == ["all.parquet"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "all.parquet"
    with pytest.raises(StoreError, match=str(path)):
        write_all(path, pl.DataFrame({"a": [1]}))


@pytest.fixture
def full_disk() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said(full_disk: None, tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    with pytest.raises(StoreError, match="no space left"):
        write_all(path, pl.DataFrame({"a": range(100_000)}).sample(fraction=1, shuffle=True, seed=0))
    assert not path.exists()
