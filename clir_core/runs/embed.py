"""A corpus's vectors in LanceDB: what is missing is encoded, block by block, and committed in shards.

Whoever runs this is the table's one writer. Texts that have a row already are never encoded again, so a run that was
cut off goes on where its last shard ended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from clir_core.audit.data_counts import cut_by_language
from clir_core.audit.data_facts import Cuts
from clir_core.audit.result import Embedded, TableRead
from clir_core.audit.spec import AuditSpec, EmbedSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import by_length, document_texts, query_texts
from clir_core.correct.data import bank_reference, fit_reference
from clir_core.errors import ModelError
from clir_core.model.canary import TEXTS, Canary, changed_versions, distance, is_same
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.proof import Proof
from clir_core.model.reading import Reading
from clir_core.rank.store import VectorTable, table_name
from clir_core.rank.suspicions import suspicions
from clir_core.sources import splits
from clir_core.spec import sha256_of
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.locks import locked
from clir_core.workspace.progress import Bars, Progress
from clir_core.workspace.provenance import versions
from clir_core.workspace.steps import read_result
from clir_core.workspace.storage import path_of

SHARD_ROWS = 8192
SHARD_SECONDS = 20.0


class Encoders(Protocol):
    """What turns texts into rows of a vector table with one checkpoint."""

    def reading(self) -> Reading:
        """How they do it."""

    def encode(self, blocks: list[pl.DataFrame], kind: str) -> Iterator[pa.Table]:
        """Rows of each block of texts (id, group_id, lang, text_hash, text), in whatever order they get done."""


# opens them, for as long as a `with` block lasts
OpenEncoders = Callable[[Checkpoint, RuntimeSpec], AbstractContextManager[Encoders]]


def embed_corpus(
    corpus: Corpus,
    checkpoint: Checkpoint,
    spec: EmbedSpec,
    bars: Bars,
    fit: Corpus | None = None,
    *,
    encoders: OpenEncoders,
) -> Embedded:
    """Bring both vector tables of a corpus up to date, and tag the versions that are read for this spec.

    Of `fit`, the corpus that a correction is fitted on, what that reads: documents, queries or both.
    """
    uri = _uri(spec)
    reads, cuts, odd, encoded, total = dict[str, TableRead](), [], list[str](), 0, 0
    proof = read_result(layout.proof(spec.workspace, checkpoint.vectors), Proof)
    with ExitStack() as stack:
        pool: Encoders | None = None
        for role, part, kind, texts, name in tables_of(corpus, checkpoint, spec, fit):
            # of the corpus, too: what an earlier audit of the same spec read must stay tagged when the corpus has grown
            tag = f"{'fit' if part is fit else 'audit'}-{sha256_of([spec.identity(), part.fingerprint()])[:16]}"
            total += len(texts)
            added = 0
            # one run at a time embeds into a table; the next finds what it did
            with locked(Path(uri) / f".{name}.lock"):
                if not VectorTable.exists(uri, name) or missing_blocks(VectorTable(uri, name), texts, len(texts)):
                    if pool is None:
                        pool = stack.enter_context(encoders(checkpoint, spec.runtime))
                        proof = prove(pool, checkpoint, spec.workspace)
                    assert proof
                    table = VectorTable.create(uri, name, int(proof.reading.dimension or 0))
                    added = embed_missing(pool, table, texts, kind, spec.runtime.block_documents, bars(f"embed-{kind}"))
            encoded += added
            # what was encoded anew, after somebody deleted rows, is in the newest version only
            version = VectorTable(uri, name).tag(tag, move=added > 0)
            reads[role] = TableRead(uri=uri, table=name, version=version, tag=tag)
            cuts.append(cut_by_language(VectorTable(uri, name, version).cuts(texts)))
            odd += [] if part is fit else suspicions(VectorTable(uri, name, version), texts, kind)
    return Embedded(
        **reads,
        encoded=encoded,
        reused=total - encoded,
        cut=Cuts(documents=cuts[0], queries=cuts[1], own_tokens=proof.reading.own_tokens if proof else {}),
        proof=proof,
        suspicions=tuple(odd),
    )


def prove(encoders: Encoders, checkpoint: Checkpoint, workspace: Path) -> Proof:
    """How they encode, and the canary, kept with the first vectors of this identity.

    ModelError where it is not that of the vectors that are there: both would stand in one table.
    """
    canary, reading = canary_of(encoders)
    file = layout.proof(workspace, checkpoint.vectors)
    before = read_result(file, Proof)
    if before is None:
        proof = Proof(reading=reading, canary=canary)
        write_text(file, proof.model_dump_json(indent=1))
        return proof
    if before.canary and canary and not is_same(before.canary, canary):
        raise ModelError(
            f"{checkpoint.ref}: gives other vectors here than those that the workspace holds of it, of one text by "
            f"{distance(before.canary, canary):.2g} of 1 - cosine; {changed_versions(before.canary, canary)}. Encode "
            "with what made the others, or in another workspace"
        )
    return before


def canary_of(encoders: Encoders) -> tuple[Canary | None, Reading]:
    """The vectors of the canary's texts, none where vectors are only looked up, and how they were made."""
    if encoders.reading().kind == "vectors":
        return None, encoders.reading()
    rows = [dict.fromkeys(("group_id", "lang", "text_hash"), "") | {"id": text, "text": text} for text in TEXTS]
    (table,) = encoders.encode([pl.DataFrame(rows)], "query")
    reading = encoders.reading()
    return Canary.of(np.stack(table["vector"].to_numpy()), reading.dtype, versions()), reading


def count_missing(corpus: Corpus, checkpoint: Checkpoint, spec: EmbedSpec, fit: Corpus | None = None) -> int:
    """How many texts `embed_corpus` would have to encode. Without them it needs no cluster."""
    found = 0
    for _, _, _, texts, name in tables_of(corpus, checkpoint, spec, fit):
        exists = VectorTable.exists(_uri(spec), name)
        found += VectorTable(_uri(spec), name).find(texts)["row_id"].null_count() if exists else len(texts)
    return found


def _uri(spec: EmbedSpec) -> str:
    return str(layout.vectors(spec.workspace).resolve())


def tables_of(
    corpus: Corpus, checkpoint: Checkpoint, spec: EmbedSpec, fit: Corpus | None
) -> Iterator[tuple[str, Corpus, str, pl.DataFrame, str]]:
    """What an audit reads: the field of `Embedded`, a corpus, a kind of text, those texts, their table's name."""
    wanted = [("documents", spec.corpus, corpus, "document"), ("queries", spec.corpus, corpus, "query")]
    if fit and isinstance(spec, AuditSpec):
        if spec.reads_documents:
            wanted.append(("fit", str(fit_reference(spec, spec.corpus)), fit, "document"))
        if bank := bank_reference(spec, spec.corpus):
            wanted.append(("bank", bank, fit, "query"))
    for role, reference, part, kind in wanted:
        texts = document_texts(part) if kind == "document" else query_texts(part)
        place = place_of(reference)
        name = table_name([Path(place).name, sha256_of(place)[:8], checkpoint.name, checkpoint.vectors[:12], kind])
        yield role, part, kind, texts, name


def place_of(reference: str) -> str:
    """Where a corpus lies, however its folder is written, and whichever split is asked for: what its tables share."""
    whole, _ = splits.parse(reference)
    kind, _, place = whole.partition(":")
    return f"{kind}:{path_of(place).resolve()}" if place and kind != "hub" else whole


def embed_missing(
    encoders: Encoders, table: VectorTable, texts: pl.DataFrame, kind: str, block: int, progress: Progress
) -> int:
    """Encode and store the texts (id, group_id, lang, text_hash, text) that have no row yet. Returns how many."""
    blocks = missing_blocks(table, texts, block)
    total, done = sum(map(len, blocks)), 0
    shard: list[pa.Table] = []
    committed = time.monotonic()
    try:
        for encoded in encoders.encode(blocks, kind):
            shard.append(encoded)
            done += len(encoded)
            progress(done, total)
            full = sum(map(len, shard)) >= SHARD_ROWS or time.monotonic() - committed > SHARD_SECONDS
            if full or done == total:
                table.append(pa.concat_tables(shard))
                shard, committed = [], time.monotonic()
    except (ModelError, KeyboardInterrupt):
        if shard:  # what is encoded, and may be paid for, is kept
            table.append(pa.concat_tables(shard))
        raise
    return total


def missing_blocks(table: VectorTable, texts: pl.DataFrame, block: int) -> list[pl.DataFrame]:
    """Texts without a row, of like length together; cut over all texts, so a run that goes on meets the same blocks."""
    order = table.find(by_length(texts)).with_columns(block=pl.int_range(pl.len()) // block)
    pending = order.filter(pl.col("row_id").is_null()).drop("row_id")
    return [part.drop("block") for part in pending.partition_by("block", maintain_order=True)]
