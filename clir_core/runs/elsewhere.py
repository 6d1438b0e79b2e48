"""Vectors that no checkpoint of this machine makes: looked up where somebody stored them, or asked of a server.

Both are done in this process, whoever else works: neither needs processors.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import polars as pl
import pyarrow as pa

from clir_core.audit.result import Embedded
from clir_core.audit.spec import EmbedSpec, RuntimeSpec
from clir_core.corpus.tables import Corpus
from clir_core.errors import ModelError, VectorsError
from clir_core.model import served
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.embeddings_api import EmbeddingsClient
from clir_core.model.given import listed
from clir_core.model.reading import Reading, reading_of
from clir_core.model.vector_tables import GivenVectors
from clir_core.model.vectors_ref import TextKind
from clir_core.rank.store import rows
from clir_core.runs.embed import count_missing, embed_corpus, tables_of
from clir_core.workspace.progress import Bars

TABLES = {"document": "documents", "query": "queries"}
REQUESTS = 4  # at once
BATCH_TEXTS, BATCH_CHARACTERS = 32, 60_000  # 32 is what text-embeddings-inference takes at most by itself


def embed(spec: EmbedSpec, corpus: Corpus, checkpoint: Checkpoint, fit: Corpus | None, bars: Bars) -> Embedded:
    """Bring a corpus's vector tables up to date, as `embed_corpus` does, and say what came of it."""
    if not count_missing(corpus, checkpoint, spec, fit):
        return embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=encoders)
    with encoders(checkpoint, spec.runtime) as opened:
        if isinstance(opened, StoredEncoders):
            opened.check(
                [wanted[1:4] for wanted in tables_of(corpus, checkpoint, spec, fit)]
            )  # before anything is written
        embedded = embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=lambda *_: nullcontext(opened))
        return embedded.model_copy(update={"notes": opened.notes()})


@contextmanager
def encoders(checkpoint: Checkpoint, runtime: RuntimeSpec) -> Iterator["StoredEncoders | ServedEncoders"]:
    """Who has the checkpoint's vectors."""
    if checkpoint.kind == "vectors":
        yield StoredEncoders(checkpoint)
        return
    ref = served.parse(checkpoint.ref)
    with EmbeddingsClient(ref.endpoint, ref.model, checkpoint.truncate_dim, ref.normalize) as client:
        yield ServedEncoders(client, checkpoint, runtime.workers or REQUESTS)


class StoredEncoders:
    """Looks texts up by their ids."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint, self._ref, self._notes = checkpoint, checkpoint.ref, tuple[str, ...]()
        self._given = GivenVectors(checkpoint.ref, checkpoint.truncate_dim, checkpoint.normalize)

    def reading(self) -> Reading:
        """What is known of them."""
        return _reading(self._checkpoint, self._given.dim)

    def notes(self) -> tuple[str, ...]:
        """What is superfluous, once they are checked."""
        return self._notes

    def check(self, wanted: Sequence[tuple[Corpus, str, pl.DataFrame]]) -> None:
        """VectorsError with all that does not fit texts (id, text_hash) of these corpora and kinds."""
        ids: dict[str, list[str]] = {}
        for kind in ("document", "query"):
            parts = [(part.name, texts) for part, of_kind, texts in wanted if of_kind == kind]
            texts = pl.concat([texts for _, texts in parts]).unique(["id", "text_hash"], maintain_order=True)
            if two := texts.filter(pl.col("id").is_duplicated())["id"].unique(maintain_order=True).to_list():
                others = " or ".join(name for name, _ in parts[1:])
                raise VectorsError(
                    f"{self._ref}: {TABLES[kind]} {listed(two)} have another text in {others} than in {parts[0][0]}, "
                    "and one vector cannot be of both; fit the correction on a part of the same corpus"
                )
            ids[kind] = texts["id"].to_list()
        self._notes = self._given.check(cast(dict[TextKind, list[str]], ids))

    def encode(self, blocks: list[pl.DataFrame], kind: str) -> Iterator[pa.Table]:
        """Rows in the order in which their vectors are stored."""
        if not blocks:
            return
        texts = pl.concat(blocks)
        for ids, vectors_NH in self._given.batches(cast(TextKind, kind), texts["id"].to_list()):
            batch = pl.DataFrame({"id": ids}).with_row_index("row").unique("id", keep="first", maintain_order=True)
            batch = batch.join(texts, on="id", how="inner", maintain_order="left")
            texts = texts.join(batch, on="id", how="anti", maintain_order="left")
            if len(batch):
                yield rows(batch, vectors_NH[batch["row"].to_numpy()])
        if len(texts):
            raise VectorsError(f"{self._ref}: vectors of {listed(texts['id'].to_list())} vanished while it was read")


class ServedEncoders:
    """Asks a server, several batches at once."""

    def __init__(self, client: EmbeddingsClient, checkpoint: Checkpoint, requests: int) -> None:
        self._client, self._checkpoint, self._requests = client, checkpoint, requests
        self._dimension: int | None = None

    def reading(self) -> Reading:
        """What is known of them; the dimension after the first answer."""
        return _reading(self._checkpoint, self._dimension)

    def notes(self) -> tuple[str, ...]:
        """What was paid for."""
        counted = f"{self._client.tokens:,} tokens" if self._client.tokens else "tokens that the server does not count"
        return (f"{counted} in {self._client.requests:,} requests",)

    def encode(self, blocks: list[pl.DataFrame], kind: str) -> Iterator[pa.Table]:
        """Rows of each batch as its answer comes; after a failure, of those that are under way: they are paid."""
        waiting = deque(batch for block in blocks for batch in batches(block))
        running: dict[Future[Any], pl.DataFrame] = {}
        failed: ModelError | None = None
        with ThreadPoolExecutor(self._requests) as pool:
            while running or (waiting and not failed):
                while waiting and not failed and len(running) < self._requests:
                    batch = waiting.popleft()
                    prompted = [self._checkpoint.prompt(kind) + text for text in batch["text"]]
                    running[pool.submit(self._client.embed, prompted)] = batch
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    batch = running.pop(done)
                    try:
                        vectors_NH = done.result()
                    except ModelError as error:
                        failed = failed or error
                    else:
                        self._dimension = vectors_NH.shape[1]
                        yield rows(batch, vectors_NH)
        if failed:
            raise failed


def batches(texts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Slices of texts (text, ...) that a request can hold, by number and by characters; one text at least."""
    start = characters = 0
    for at, text in enumerate(texts["text"]):
        if at > start and (at - start >= BATCH_TEXTS or characters + len(text) > BATCH_CHARACTERS):
            yield texts.slice(start, at - start)
            start, characters = at, 0
        characters += len(text)
    if len(texts):
        yield texts.slice(start)


def _reading(checkpoint: Checkpoint, dimension: int | None) -> Reading:
    """Lengths, pooling and dtype are those of a model that is not here."""
    return reading_of(checkpoint, dimension=dimension, dtype="")
