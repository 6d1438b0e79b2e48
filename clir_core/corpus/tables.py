"""A corpus: documents, queries and qrels as three Arrow tables with parallel groups, whatever it was read from.

Sources yield the tables with two more columns, `file` and `row` (from 1), that say where each row was read; validation
uses them to name what is wrong and drops them.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from clir_core.corpus.pivot import ENGLISH, pivot_first
from clir_core.spec import Spec, sha256_of

# of the things that an audit left out, so many are named
N_EXAMPLES = 5


def _schema(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


# group_id: documents (or queries) with the same group_id are translations of one another, one per language
DOCUMENTS = _schema(doc_id=pa.string(), group_id=pa.string(), lang=pa.string(), text=pa.string()).append(
    pa.field("title", pa.string())
)
# sources may add columns of text, which say what queries were sampled together: an article, an author
QUERIES = _schema(query_id=pa.string(), group_id=pa.string(), lang=pa.string(), text=pa.string())
# a qrel points to a group (every translation is relevant) or to one document, never to both
QRELS = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("grade", pa.int32(), nullable=False),
    ]
)
ORIGIN = (pa.field("file", pa.string(), nullable=False), pa.field("row", pa.int64(), nullable=False))
_OURS = frozenset([*QUERIES.names, *(field.name for field in ORIGIN)])


def further_columns(names: Iterable[str]) -> list[str]:
    """Of the columns of queries, those that their source has beside ours."""
    return [name for name in names if name not in _OURS]


class Skipped(Spec):
    """What an audit left out, how often and why."""

    what: str
    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A validated corpus. Tables follow DOCUMENTS, QUERIES and QRELS and are sorted by language and id.

    After the columns of QUERIES, queries may have others: nullable strings.
    """

    name: str
    documents: pa.Table
    queries: pa.Table
    qrels: pa.Table
    skipped: tuple[Skipped, ...] = ()
    # what was read and how, where it could have been otherwise: sentences
    notes: tuple[str, ...] = ()
    # what the others are held against; no row depends on it
    pivot: str = ENGLISH

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that have documents: the pivot first, then alphabetically."""
        return pivot_first(self.documents["lang"].unique().to_pylist(), self.pivot)

    def fingerprint(self) -> str:
        """Hex sha256 over every row of the three tables, without the queries' further columns; computed once."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        tables = (self.documents, self.queries.select(QUERIES.names), self.qrels)
        return sha256_of([self.name, *(_hash_rows(table) for table in tables)])

    def restrict(self, languages: Sequence[str]) -> "Corpus":
        """The part in these languages. Qrels of queries and documents outside it go with them, and so does, listed in
        `skipped`, a query that thereby has nothing relevant left."""
        documents = self.documents.filter(_among(self.documents["lang"], pa.array(languages, pa.string())))
        queries = self.queries.filter(_among(self.queries["lang"], pa.array(languages, pa.string())))
        has_gold = pc.or_(
            _among(self.qrels["doc_id"], documents["doc_id"]), _among(self.qrels["group_id"], documents["group_id"])
        )
        qrels = self.qrels.filter(pc.and_(has_gold, _among(self.qrels["query_id"], queries["query_id"])))
        is_judged = _among(queries["query_id"], qrels["query_id"])
        lost = queries.filter(pc.invert(is_judged))["query_id"].to_pylist()
        skipped = self.skipped + skip("queries", f"no relevant document in {', '.join(languages)}", lost)
        return replace(self, documents=documents, queries=queries.filter(is_judged), qrels=qrels, skipped=skipped)


def skip(what: str, reason: str, ids: Sequence[str]) -> tuple[Skipped, ...]:
    """One entry that counts the ids and names the first few; none where there are none."""
    return (Skipped(what=what, reason=reason, count=len(ids), examples=tuple(ids[:N_EXAMPLES])),) if ids else ()


def _among(values: pa.ChunkedArray, allowed: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(values, value_set=allowed)


def _hash_rows(table: pa.Table) -> str:
    digest = hashlib.sha256()
    # slices, not batches: equal tables may be cut into batches otherwise
    for start in range(0, len(table), 8192):
        digest.update(json.dumps(table.slice(start, 8192).to_pydict(), ensure_ascii=False).encode())
    return digest.hexdigest()
