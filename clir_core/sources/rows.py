"""What every source yields: three raw tables that say where each row was read. Nothing is checked here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import pyarrow as pa

from clir_core.corpus.tables import DOCUMENTS, ORIGIN, QRELS, QUERIES, Corpus, Skipped
from clir_core.sources.validation import validate

# so many rows lie in Python objects before they become Arrow
_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class RawCorpus:
    """Tables as they were read: any value may be null, ids may repeat or lead nowhere."""

    name: str
    documents: pa.Table
    queries: pa.Table
    qrels: pa.Table
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def validated(self) -> Corpus:
        """The corpus, or a CorpusError with every problem."""
        corpus = validate(self.name, self.documents, self.queries, self.qrels, self.skipped)
        return replace(corpus, notes=(*self.notes, *corpus.notes))

    def without_titles(self) -> "RawCorpus":
        """Where titles do not belong to the texts."""
        at = self.documents.column_names.index("title")
        nothing = pa.nulls(len(self.documents), pa.string())
        return replace(self, documents=self.documents.set_column(at, "title", nothing))


class Rows:
    """One raw table in the making. Columns that a row does not give are null."""

    def __init__(self, schema: pa.Schema) -> None:
        fields = [*(field.with_nullable(True) for field in schema), *ORIGIN]
        self._schema = pa.schema(fields)
        self._further: dict[str, None] = {}
        self._pending: list[dict[str, object]] = []
        self._tables: list[pa.Table] = []

    def add(
        self, file: object, row: int, further: Mapping[str, str] = MappingProxyType({}), /, **values: str | int | None
    ) -> None:
        """One more row, read at this place; rows count from 1. `further` are values of columns beside the schema's."""
        self._further.update(dict.fromkeys(further))
        self._pending.append({"file": str(file), "row": row, **further, **values})
        if len(self._pending) == _CHUNK_ROWS:
            self._flush()

    def table(self) -> pa.Table:
        """All rows so far."""
        self._flush()
        return pa.concat_tables(self._tables, promote_options="default")

    def _flush(self) -> None:
        further = [pa.field(name, pa.string()) for name in self._further]
        self._tables.append(pa.Table.from_pylist(self._pending, pa.schema([*self._schema, *further])))
        self._pending = []


class RawRows:
    """The three tables of one corpus in the making."""

    def __init__(self) -> None:
        self.documents = Rows(DOCUMENTS)
        self.queries = Rows(QUERIES)
        self.qrels = Rows(QRELS)

    def corpus(self, name: str, skipped: Sequence[Skipped] = ()) -> RawCorpus:
        """The tables so far, under this name."""
        return RawCorpus(name, self.documents.table(), self.queries.table(), self.qrels.table(), tuple(skipped))
