"""Reading the vectors of `vectors:PLACE`: Parquet files and Lance tables, batch by batch, checked before use."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clir_core.errors import ModelError, VectorsError
from clir_core.model.given import IDS, VECTORS, from_arrow, listed, unit, unusable
from clir_core.model.vectors_ref import Table, TextKind, VectorsRef, parse, tables_of
from clir_core.spec import sha256_of
from clir_core.workspace.lance import connect
from clir_core.workspace.storage import explained

BATCH_ROWS = 8_192
KIND = "kind"
_KINDS = {"document": ("document", "documents", "doc", "passage"), "query": ("query", "queries")}


class GivenVectors:
    """The vectors of a reference. `dim` is their length, cut at `truncate_dim`; of length 1 where `normalize`."""

    def __init__(self, ref: str, truncate_dim: int | None, normalize: bool) -> None:
        self._ref, self._normalize = ref, normalize
        found = parse(ref)
        self._opened = {kind: _Opened.of(ref, table, found) for kind, table in tables_of(ref).items()}
        same = self._opened["document"].table == self._opened["query"].table
        if same and not self._opened["document"].kind:
            raise ModelError(
                f"{ref}: one table of both documents and queries needs a column that says which is which; name it with "
                "?kind=COLUMN (document or query), or give two tables with ?documents=NAME&queries=NAME"
            )
        dims = {kind: opened.dim() for kind, opened in self._opened.items()}
        if len(set(dims.values())) > 1:
            sizes = f"documents have {dims['document']} dimensions and queries {dims['query']}"
            raise VectorsError(f"{ref}: {sizes}; give both of one model")
        self._truncate_dim = truncate_dim
        self.dim = min(dims["document"], truncate_dim or dims["document"])

    def check(self, wanted: Mapping[TextKind, Collection[str]]) -> tuple[str, ...]:
        """What is superfluous, in sentences. VectorsError with all that is missing, contradictory or no vector."""
        problems, notes, repeated = [], [], {}
        for kind, ids in wanted.items():
            given = self._opened[kind].ids(kind)
            there, asked = set(given), set(ids)
            if missing := [one for one in ids if one not in there]:
                such = f" (it has ids such as {given[0]})" if given else ""
                problems.append(
                    f"no vector for {len(missing):,} of {len(asked):,} {_plural(kind)}: {listed(missing)}{such}"
                )
            if more := len(there - asked):
                notes.append(f"{more:,} vectors are of no {kind} of this corpus")
            repeated[kind] = _repeated(given) & asked
        if problems:
            raise VectorsError(f"{self._ref}: {'; '.join(problems)}; add them, or take their texts out of the corpus")
        for kind, ids in wanted.items():
            problems += self._wrong(kind, ids, repeated[kind])
        if problems:
            raise VectorsError(f"{self._ref}: {'; '.join(problems)}; encode them again")
        return tuple(notes)

    def batches(self, kind: TextKind, wanted: Collection[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Ids and vectors, float32 [ids, dim], of the wanted ones, once or as often as they are stored."""
        for ids, vectors_NH in self._raw(kind, wanted):
            yield ids, unit(vectors_NH) if self._normalize else vectors_NH

    def rows(self, kind: TextKind) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Every row of a kind with all its columns but the vector, and the vectors, float32 [rows, dim]."""
        opened = self._opened[kind]
        for batch in opened.all_of(kind):
            ids = batch[opened.id].to_pylist()
            vectors_NH = from_arrow(f"{opened.table}, {_plural(kind)}", ids, batch[opened.vector])
            vectors_NH = vectors_NH[:, : self._truncate_dim]
            for what, those in unusable(ids, vectors_NH, self._normalize).items():
                raise VectorsError(
                    f"{self._ref}: {what} in the vectors of the {_plural(kind)} {listed(those)}; encode them again"
                )
            yield batch.drop_columns([opened.vector]), unit(vectors_NH) if self._normalize else vectors_NH

    def columns(self, kind: TextKind) -> "Columns":
        """What its columns of ids and vectors are called, all of them, and whether they lie in a Lance table."""
        opened = self._opened[kind]
        return Columns(opened.id, opened.vector, tuple(opened.schema.names), bool(opened.table.uri))

    def _raw(self, kind: TextKind, wanted: Collection[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        for ids, vectors_NH in self._opened[kind].rows(kind, pa.array(wanted, pa.string())):
            yield ids, vectors_NH[:, : self._truncate_dim]

    def _wrong(self, kind: TextKind, wanted: Collection[str], repeated: Collection[str]) -> Iterator[str]:
        """What is no vector, or stands there twice and differs, in words."""
        first: dict[str, bytes] = {}
        differing: dict[str, None] = {}
        wrong: dict[str, list[str]] = {}
        for ids, vectors_NH in self._raw(kind, wanted):
            for what, those in unusable(ids, vectors_NH, self._normalize).items():
                wrong.setdefault(what, []).extend(those)
            for at, one in enumerate(ids if repeated else ()):
                if one in repeated and first.setdefault(one, vectors_NH[at].tobytes()) != vectors_NH[at].tobytes():
                    differing[one] = None
        for what, those in wrong.items():
            yield f"{what} in the vectors of the {_plural(kind)} {listed(those)}"
        if differing:
            yield f"several vectors that differ for the {_plural(kind)} {listed(list(differing))}"


class Columns(NamedTuple):
    """Of a table of vectors: the columns of ids and vectors, all columns, and whether it is a Lance table."""

    id: str
    vector: str
    all: tuple[str, ...]
    is_lance: bool


class _Opened(NamedTuple):
    """A table and its columns; `kind` is empty where it holds one kind of text alone."""

    table: Table
    lance: Any
    schema: pa.Schema
    id: str
    vector: str
    kind: str

    @staticmethod
    def of(ref: str, table: Table, asked: VectorsRef) -> "_Opened":
        """The table, opened. ModelError where a column is missing."""
        lance = _open(table) if table.uri else None
        with explained(str(table)):
            schema = lance.schema if lance is not None else pq.read_schema(table.files[0])
            again = {name for name in schema.names if schema.names.count(name) > 1}
        columns = [
            asked.id or next((name for name in IDS if name in schema.names), ""),
            asked.vector or next((name for name in VECTORS if name in schema.names), ""),
            asked.kind or (KIND if KIND in schema.names and not asked.documents else ""),
        ]
        missing = [name for name in columns[:2] + [asked.kind] * bool(asked.kind) if name not in schema.names]
        if missing:
            raise ModelError(
                f"{ref}: {table} has the columns {', '.join(schema.names)}; name those of ids and vectors with "
                "?id=COLUMN&vector=COLUMN"
            )
        if twice := again.intersection(columns):
            raise ModelError(f"{ref}: {table} has column {min(twice)} several times; rename the others")
        return _Opened(table, lance, schema, *columns)

    def dim(self) -> int:
        """Length of the vectors: as the column's type says, else the first one's."""
        kind = self.schema.field(self.vector).type
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for batch in self.batches([self.vector]):
            for row in batch[0]:
                if row.is_valid and pa.types.is_nested(row.type):
                    return len(row)
        raise VectorsError(f"{self.table}: no vectors in column {self.vector}")

    def ids(self, kind: TextKind) -> list[str]:
        """Ids of a kind's rows, as often as they are there."""
        names = [self.id, *([self.kind] if self.kind else [])]
        return [one for batch in self.batches(names) for one in self._of(batch, kind)[self.id].to_pylist() if one]

    def rows(self, kind: TextKind, wanted: pa.Array) -> Iterator[tuple[list[str], np.ndarray]]:
        """Ids and whole vectors of a kind's rows with these ids."""
        names = list(dict.fromkeys([self.id, self.vector, *([self.kind] if self.kind else [])]))
        for batch in self.batches(names):
            batch = self._of(batch, kind)
            batch = batch.filter(pc.is_in(batch[self.id], value_set=wanted))
            if len(batch):
                ids = batch[self.id].to_pylist()
                yield ids, from_arrow(f"{self.table}, {_plural(kind)}", ids, batch[self.vector])

    def all_of(self, kind: TextKind) -> Iterator[pa.RecordBatch]:
        """Whole rows of a kind."""
        for batch in self.batches(self.schema.names):
            batch = self._of(batch, kind)
            if len(batch):
                yield batch

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of these columns; ids as text."""
        with explained(str(self.table)):
            for batch in self._read(columns):
                if other := [name for name in columns if batch.schema.names.count(name) != 1]:
                    raise VectorsError(
                        f"{self.table}: a file of it has column {other[0]} not at all, or several times; mend that file"
                    )
                for name in {self.id, self.kind} & set(columns):
                    text = pc.cast(batch[name], pa.string())
                    text.validate(full=True)  # Arrow believes that text is UTF-8
                    batch = batch.set_column(batch.schema.get_field_index(name), name, text)
                yield batch

    def _read(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if self.table.uri:
            yield from self.lance.search().select(list(columns)).to_batches(BATCH_ROWS)
        for file in self.table.files:
            with pq.ParquetFile(file) as opened:
                yield from opened.iter_batches(BATCH_ROWS, columns=list(columns))

    def _of(self, batch: pa.RecordBatch, kind: TextKind) -> pa.RecordBatch:
        if not self.kind:
            return batch
        kinds = pc.utf8_lower(batch[self.kind])
        return batch.filter(pc.is_in(kinds, value_set=pa.array(_KINDS[kind])))


def state_of(table: Table) -> list[str]:
    """What tells a Lance table's newest version from any other: where it is, its number and its time."""
    opened = _open(table)
    with explained(table.uri):
        newest = opened.list_versions()[-1]
    return [table.uri, table.name, str(newest["version"]), str(newest["timestamp"])]


def content_of(table: Table, ref: VectorsRef) -> str:
    """Hex sha256 over a table's kinds, ids and vectors, in whatever order its rows lie."""
    opened = _Opened.of(str(ref), table, ref)
    names = list(dict.fromkeys([opened.id, opened.vector, *([opened.kind] if opened.kind else [])]))
    hashes = []
    for batch in opened.batches(names):
        batch = batch.filter(batch[opened.vector].is_valid())  # no vector, no content
        keys = batch.drop_columns([opened.vector]).to_pylist()
        vectors_NH = from_arrow(str(table), [str(key[opened.id]) for key in keys], batch[opened.vector])
        hashes += [_hash(key, vector_H) for key, vector_H in zip(keys, vectors_NH, strict=True)]
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def _hash(key: dict[str, Any], vector_H: np.ndarray) -> bytes:
    return hashlib.sha256(sha256_of(key).encode() + vector_H.tobytes()).digest()


def _open(table: Table) -> Any:
    with explained(table.uri):
        try:
            return connect(table.uri).open_table(table.name)
        except ValueError as error:
            if "not found" not in str(error):
                raise
            raise ModelError(f"{table.uri}: has no table {table.name}") from error


def _repeated(ids: Sequence[str]) -> set[str]:
    seen: set[str] = set()
    return {one for one in ids if one in seen or seen.add(one)}  # type: ignore[func-returns-value]


def _plural(kind: TextKind) -> str:
    return {"document": "documents", "query": "queries"}[kind]
