"""Embedding with Ray: actors encode blocks of texts, the driver commits their rows to LanceDB in shards.

The driver is the table's one writer. Texts that have a row already are never encoded again, so a run that was cut off
goes on where its last shard ended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import ray

from clir_core.audit.corrections import fit_reference
from clir_core.audit.result import Embedded, TableRead
from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.jobs.cluster import has_gpu, n_cpus, threads_of_each, unwrapped
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank.store import VectorTable, rows, table_name
from clir_core.sources import splits
from clir_core.spec import sha256_of
from clir_core.workspace.locks import locked

if TYPE_CHECKING:
    from clir_core.model.encoder import Encoder

SHARD_ROWS = 8192
SHARD_SECONDS = 20.0

# texts done and texts to do
Progress = Callable[[int, int], None]


class EncoderActor:
    """One checkpoint in a process of its own."""

    def __init__(self, checkpoint: Checkpoint, device: str, threads: int, batch_tokens: int) -> None:
        self._checkpoint, self._device, self._batch_tokens = checkpoint, device, batch_tokens
        self._threads = threads

    @cached_property
    def _encoder(self) -> "Encoder":
        # loaded on first use: of an error in __init__ Ray tells the driver no more than that the actor died
        import torch

        from clir_core.model.encoder import Encoder

        torch.set_num_threads(self._threads)
        return Encoder(self._checkpoint, self._device, self._batch_tokens)

    def dim(self) -> int:
        """Length of the vectors."""
        return self._encoder.dim

    def encode(self, texts: pa.Table, kind: str) -> pa.Table:
        """Rows of the vector table for texts (id, group_id, lang, text_hash, text)."""
        frame = pl.DataFrame(pl.from_arrow(texts))
        return rows(frame, self._encoder.encode(frame["text"].to_list(), kind))


class EncoderPool:
    """Encoding actors of one checkpoint, stopped when the `with` block ends."""

    def __init__(self, checkpoint: Checkpoint, runtime: RuntimeSpec) -> None:
        gpu = has_gpu()
        most = min(n_cpus(), int(ray.cluster_resources()["GPU"])) if gpu else n_cpus()
        # an actor without a processor of its own would never start, and its blocks would wait for ever
        workers = min(runtime.workers or (most if gpu else 1), most)
        threads = threads_of_each(workers, gpu) or 1
        # an actor that declares no num_cpus computes with one thread
        options = {"num_gpus": 1, "num_cpus": 1} if gpu else {"num_cpus": threads}
        actor = ray.remote(EncoderActor).options(max_restarts=2, max_task_retries=2, **options)
        device = "cuda" if gpu else "cpu"
        self._actors = [actor.remote(checkpoint, device, threads, runtime.batch_tokens) for _ in range(workers)]

    def __enter__(self) -> "EncoderPool":
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            ray.kill(actor)

    def dim(self) -> int:
        """Length of the vectors. Waits until every actor has loaded the checkpoint."""
        dims = [unwrapped(ref) for ref in [actor.dim.remote() for actor in self._actors]]
        return dims[0]

    def encode(self, blocks: list[pl.DataFrame], kind: str) -> Iterator[pa.Table]:
        """Rows of each block, in the order they get done; two blocks wait at every actor."""
        waiting = iter(blocks)
        running: dict[ray.ObjectRef, ray.actor.ActorHandle] = {}
        for actor in (*self._actors, *self._actors):
            for block in [next(waiting, None)]:
                if block is not None:
                    running[actor.encode.remote(block.to_arrow(), kind)] = actor
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            actor = running.pop(done[0])
            block = next(waiting, None)
            if block is not None:
                running[actor.encode.remote(block.to_arrow(), kind)] = actor
            yield unwrapped(done[0])


def embed_corpus(
    corpus: Corpus,
    checkpoint: Checkpoint,
    spec: AuditSpec,
    progress: Callable[[str], Progress],
    fit: Corpus | None = None,
) -> Embedded:
    """Bring both vector tables of a corpus up to date, and tag the versions that this audit reads.

    Of `fit`, the corpus that a correction is fitted on, the documents are needed alone.
    """
    uri = _uri(spec)
    reads, encoded, total = [], 0, 0
    with ExitStack() as stack:
        pool: EncoderPool | None = None
        for part, kind, texts, name in _tables(corpus, checkpoint, spec, fit):
            # of the corpus, too: what an earlier audit of the same spec read must stay tagged when the corpus has grown
            tag = f"{'fit' if part is fit else 'audit'}-{sha256_of([spec.identity(), part.fingerprint()])[:16]}"
            total += len(texts)
            added = 0
            # one run at a time embeds into a table; the next finds what it did
            with locked(Path(uri) / f".{name}.lock"):
                if not VectorTable.exists(uri, name) or missing_blocks(VectorTable(uri, name), texts, len(texts)):
                    pool = pool or stack.enter_context(EncoderPool(checkpoint, spec.runtime))
                    table = VectorTable.create(uri, name, pool.dim())
                    added = embed_missing(pool, table, texts, kind, spec.runtime.block_documents, progress(kind))
            encoded += added
            # what was encoded anew, after somebody deleted rows, is in the newest version only
            version = VectorTable(uri, name).tag(tag, move=added > 0)
            reads.append(TableRead(uri=uri, table=name, version=version, tag=tag))
    documents, queries, *fitted = reads
    return Embedded(
        documents=documents, queries=queries, fit=next(iter(fitted), None), encoded=encoded, reused=total - encoded
    )


def count_missing(corpus: Corpus, checkpoint: Checkpoint, spec: AuditSpec, fit: Corpus | None = None) -> int:
    """How many texts `embed_corpus` would have to encode. Without them it needs no cluster."""
    found = 0
    for _, _, texts, name in _tables(corpus, checkpoint, spec, fit):
        exists = VectorTable.exists(_uri(spec), name)
        found += VectorTable(_uri(spec), name).find(texts)["row_id"].null_count() if exists else len(texts)
    return found


def _uri(spec: AuditSpec) -> str:
    return str((spec.workspace / "lancedb").resolve())


def _tables(
    corpus: Corpus, checkpoint: Checkpoint, spec: AuditSpec, fit: Corpus | None
) -> Iterator[tuple[Corpus, str, pl.DataFrame, str]]:
    """What an audit reads: a corpus, a kind of text, those texts, and the name of their table."""
    wanted = [(spec.corpus, corpus, "document"), (spec.corpus, corpus, "query")]
    if fit:
        wanted.append((str(fit_reference(spec)), fit, "document"))
    for reference, part, kind in wanted:
        texts = document_texts(part) if kind == "document" else query_texts(part)
        place = place_of(reference)
        name = table_name([Path(place).name, sha256_of(place)[:8], checkpoint.name, checkpoint.vectors[:12], kind])
        yield part, kind, texts, name


def place_of(reference: str) -> str:
    """Where a corpus lies, however its folder is written, and whichever split is asked for: what its tables share."""
    whole, _ = splits.parse(reference)
    kind, _, place = whole.partition(":")
    return f"{kind}:{Path(place).expanduser().resolve()}" if place and kind != "hub" else whole


def embed_missing(
    pool: EncoderPool, table: VectorTable, texts: pl.DataFrame, kind: str, block: int, progress: Progress
) -> int:
    """Encode and store the texts (id, group_id, lang, text_hash, text) that have no row yet. Returns how many."""
    blocks = missing_blocks(table, texts, block)
    total, done = sum(map(len, blocks)), 0
    shard: list[pa.Table] = []
    committed = time.monotonic()
    for encoded in pool.encode(blocks, kind):
        shard.append(encoded)
        done += len(encoded)
        progress(done, total)
        full = sum(map(len, shard)) >= SHARD_ROWS or time.monotonic() - committed > SHARD_SECONDS
        if full or done == total:
            table.append(pa.concat_tables(shard))
            shard, committed = [], time.monotonic()
    return total


def missing_blocks(table: VectorTable, texts: pl.DataFrame, block: int) -> list[pl.DataFrame]:
    """Texts without a row, of like length together; cut over all texts, so a run that goes on meets the same blocks."""
    order = texts.with_columns(length=pl.col("text").str.len_bytes()).sort("length", "id", descending=[True, False])
    order = table.find(order.drop("length")).with_columns(block=pl.int_range(pl.len()) // block)
    pending = order.filter(pl.col("row_id").is_null()).drop("row_id")
    return [part.drop("block") for part in pending.partition_by("block", maintain_order=True)]
