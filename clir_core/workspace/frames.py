"""A Parquet file written frame by frame, so that the whole is never in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clir_core.workspace.atomic import new_file
from clir_core.workspace.storage import explained

if TYPE_CHECKING:
    import polars as pl


@contextmanager
def frames_into(path: Path) -> Iterator["Callable[[pl.DataFrame], None]"]:
    """What appends a frame to a file, as a row group: frames of one schema, at least one, an empty one too.

    The file is there at the end, whole, or not at all. StoreError where it cannot be written.
    """
    import polars as pl
    import pyarrow.parquet as pq

    with new_file(path) as scratch:
        writer: pq.ParquetWriter | None = None

        def append(frame: "pl.DataFrame") -> None:
            nonlocal writer
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            with explained(path):
                writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
                writer.write_table(table, row_group_size=max(1, len(table)))

        yield append
        assert writer
        with explained(path):
            writer.close()
