"""Vectors that no checkpoint of this machine makes: looked up where somebody stored them, or asked of a server.

Both are done in this process, whoever else works: neither needs processors.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from typing import Any

import polars as pl
import pyarrow as pa

from clir_core.audit.result import Embedded
from clir_core.audit.spec import EmbedSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import ModelError, VectorsError
from clir_core.model import served
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.embeddings_api import EmbeddingsClient
from clir_core.model.given import listed
from clir_core.model.vector_tables import GivenVectors
from clir_core.model.vectors_ref import TextKind
from clir_core.rank.store import rows
from clir_core.runs.embed import Encoders, count_missing, embed_corpus
from clir_core.workspace.progress import Bars

REQUESTS = 4  # at once
BATCH_TEXTS, BATCH_CHARACTERS = 32, 60_000  # 32 is what text-embeddings-inference takes at most by itself


def embed(spec: EmbedSpec, corpus: Corpus, checkpoint: Checkpoint, fit: Corpus | None, bars: Bars) -> Embedded:
    """Bring a corpus's vector tables up to date, as `embed_corpus` does, and say what came of it."""
    if not count_missing(corpus, checkpoint, spec, fit):
        return embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=_nobody)
    if checkpoint.kind == "vectors":
        stored = StoredEncoders(checkpoint)
        # before anything is written
        notes = stored.check(*([corpus, fit] if fit else [corpus]))
        embedded = embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=lambda *_: nullcontext(stored))
        return embedded.model_copy(update={"notes": notes})
    ref = served.parse(checkpoint.ref)
    with EmbeddingsClient(ref.endpoint, ref.model, checkpoint.truncate_dim, ref.normalize) as client:
        asked = ServedEncoders(client, checkpoint, spec.runtime.workers or REQUESTS)
        embedded = embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=lambda *_: nullcontext(asked))
        counted = f"{client.tokens:,} tokens" if client.tokens else "tokens that the server does not count"
        return embedded.model_copy(update={"notes": (f"{counted} in {client.requests:,} requests.",)})


class StoredEncoders:
    """Looks texts up by their ids."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._ref = checkpoint.ref
        self._given = GivenVectors(checkpoint.ref, checkpoint.truncate_dim, checkpoint.normalize)

    def dim(self) -> int:
        """Length of the vectors."""
        return self._given.dim

    def check(self, *parts: Corpus) -> tuple[str, ...]:
        """What is superfluous, in sentences. VectorsError with all that does not fit these corpora."""
        documents = pl.concat([document_texts(part) for part in parts]).unique(["id", "text_hash"], maintain_order=True)
        if two := documents.filter(pl.col("id").is_duplicated())["id"].unique(maintain_order=True).to_list():
            raise VectorsError(
                f"{self._ref}: documents {listed(two)} have another text in {parts[1].name} than in {parts[0].name}, "
                "and one vector cannot be of both; fit the correction on a part of the same corpus"
            )
        queries = query_texts(parts[0])
        return self._given.check({"document": documents["id"].to_list(), "query": queries["id"].to_list()})

    def encode(self, blocks: list[pl.DataFrame], kind: TextKind) -> Iterator[pa.Table]:
        """Rows in the order in which their vectors are stored."""
        if not blocks:
            return
        texts = pl.concat(blocks)
        for ids, vectors_NH in self._given.batches(kind, texts["id"].to_list()):
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

    def dim(self) -> int:
        """Length of the vectors."""
        return self._client.embed(["dimension"]).shape[1]

    def encode(self, blocks: list[pl.DataFrame], kind: TextKind) -> Iterator[pa.Table]:
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


@contextmanager
def _nobody(*_: object) -> Iterator[Encoders]:
    raise AssertionError("nothing is missing")
    yield
