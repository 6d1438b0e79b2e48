"""Vectors in LanceDB: one append-only table a checkpoint and corpus, a row a text.

A changed text is a new row with a new hash; readers pick the rows that match today's texts, so nothing is ever deleted,
and two runs that write the same rows at once do no harm.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from clir_core.errors import StoreError
from clir_core.workspace.lance import connect
from clir_core.workspace.storage import explained

# null where it is not known
IS_CUT = pa.field("is_cut", pa.bool_())


def schema(dim: int) -> pa.Schema:
    """Rows of a table of `dim`-dimensional vectors. `is_cut`: the checkpoint does not read the text to its end."""
    names = ("id", "group_id", "lang", "text_hash")
    fields = [pa.field(name, pa.string(), nullable=False) for name in names]
    return pa.schema([*fields, pa.field("vector", pa.list_(pa.float32(), dim), nullable=False), IS_CUT])


def rows(ids: pl.DataFrame, vectors_NH: np.ndarray, is_cut_N: np.ndarray | None = None) -> pa.Table:
    """A shard for `append`: ids has id, group_id, lang, text_hash; is_cut_N is bool, where it is known."""
    dim = vectors_NH.shape[1]
    flat = pa.array(np.ascontiguousarray(vectors_NH, np.float32).reshape(-1))
    table = ids.select("id", "group_id", "lang", "text_hash").to_arrow()
    table = table.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, dim))
    is_cut = pa.nulls(len(table), pa.bool_()) if is_cut_N is None else pa.array(is_cut_N, pa.bool_())
    return table.append_column(IS_CUT, is_cut).cast(schema(dim))


class VectorTable:
    """One table, at its newest version unless a version is asked for."""

    def __init__(self, uri: str, name: str, version: int | None = None) -> None:
        self.uri, self.name = uri, name
        with explained(uri):
            self._table = connect(uri).open_table(name)
            if version is not None:
                self._table.checkout(version)

    @staticmethod
    def create(uri: str, name: str, dim: int) -> "VectorTable":
        """Open the table, made where it is missing; StoreError where its vectors have another dimension."""
        if not VectorTable.exists(uri, name):
            with explained(uri):
                connect(uri).create_table(name, schema=schema(dim), exist_ok=True)
        table = VectorTable(uri, name)
        if table.dim != dim:
            raise StoreError(
                f"{uri}, table {name}: holds vectors of {table.dim} dimensions, the model gives {dim}; the table "
                "belongs to another model: delete it, or choose another workspace"
            )
        table._tell_cuts()
        return table

    @staticmethod
    def exists(uri: str, name: str) -> bool:
        """Whether the table is there."""
        with explained(uri):
            try:
                connect(uri).open_table(name)
            except ValueError as error:
                if "not found" in str(error):
                    return False
                raise
            return True

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._table.schema.field("vector").type.list_size

    @property
    def version(self) -> int:
        """The version that this handle reads."""
        return self._table.version

    def append(self, shard: pa.Table) -> None:
        """Commit a shard; it is there whole or not at all."""
        with explained(self.uri):
            self._table.add(shard)

    def read_all(self) -> None:
        """Read every row of this version. StoreError where one cannot be read."""
        with explained(self.uri):
            for _ in self._table.search().to_batches():
                pass

    def tag(self, tag: str, move: bool) -> int:
        """Keep this version under a tag: tagged ones are never cleaned up. Returns the version that has the tag.

        Without `move`, a tag that is there stays where it is: an earlier audit was told to find its vectors there.
        """
        with explained(self.uri):
            known = self._table.tags.list()
            if tag not in known:
                self._table.tags.create(tag, self.version)
            elif move:
                self._table.tags.update(tag, self.version)
            else:
                return int(known[tag]["version"])
        return self.version

    def find(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """`wanted` (id, text_hash, ...) with `row_id`: where the text's vector lies, null where it is missing."""
        return self._join(wanted)

    def cuts(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """`wanted` (id, text_hash, ...) with `is_cut`; null where the text is missing, or it is not known of it."""
        if IS_CUT.name not in self._table.schema.names:
            return wanted.with_columns(pl.lit(None, pl.Boolean).alias(IS_CUT.name))
        return self._join(wanted, IS_CUT.name).drop("row_id")

    def vectors(self, row_ids: np.ndarray) -> np.ndarray:
        """The vectors of these rows, in this order, float32 [rows, dim]. StoreError where a row is gone."""
        if not len(row_ids):
            return np.empty((0, self.dim), np.float32)
        wanted = np.unique(row_ids)
        with explained(self.uri):
            found = self._table.take_row_ids(wanted.tolist()).with_row_id().select(["vector"]).to_arrow()
        if len(found) != len(wanted):
            raise StoreError(
                f"{self.uri}, table {self.name}: rows are gone; was it deleted while being read? Run again"
            )
        at = np.argsort(found["_rowid"].to_numpy())
        vectors_NH = found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, self.dim)
        return vectors_NH[at[np.searchsorted(wanted, row_ids)]]

    def _join(self, wanted: pl.DataFrame, *more: str) -> pl.DataFrame:
        """`wanted` with `row_id` and more columns of the text's row."""
        with explained(self.uri):
            found = self._table.search().with_row_id(True).select(["id", "text_hash", *more]).to_arrow()
        known = pl.DataFrame(pl.from_arrow(found)).rename({"_rowid": "row_id"})
        # written twice by two runs at once: the first row serves
        known = known.sort("row_id").unique(["id", "text_hash"], keep="first", maintain_order=True)
        return wanted.join(known, on=["id", "text_hash"], how="left", maintain_order="left")

    def _tell_cuts(self) -> None:
        """Give an older table the column: its rows stay where they are, and hold nulls."""
        if IS_CUT.name not in self._table.schema.names:
            with explained(self.uri):
                self._table.add_columns(pa.schema([IS_CUT]))


def table_name(parts: Sequence[str]) -> str:
    """A table's name from readable parts: letters, digits, - and _."""
    return "-".join("".join(c if c.isalnum() and c.isascii() else "_" for c in part) for part in parts)
