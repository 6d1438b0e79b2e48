"""Encoding with Ray: actors, each a checkpoint in a process of its own, share the blocks of texts."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import ray

from clir_core.audit.spec import RuntimeSpec
from clir_core.jobs.cluster import has_gpu, n_cpus, threads_of_each, unwrapped
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.reading import Reading
from clir_core.rank.store import rows

if TYPE_CHECKING:
    from clir_core.model.encoder import Encoder


class EncoderActor:
    """One checkpoint in a process of its own."""

    def __init__(self, checkpoint: Checkpoint, device: str, threads: int, batch_tokens: int) -> None:
        self._checkpoint, self._device, self._batch_tokens = checkpoint, device, batch_tokens
        self._threads = threads

    @cached_property
    def _encoder(self) -> "Encoder":
        # loaded on first use: of an error in __init__ Ray tells the driver no more than that the actor died
        import torch

        from clir_core.model.encoder import load_encoder

        torch.set_num_threads(self._threads)
        return load_encoder(self._checkpoint, self._device, self._batch_tokens)

    def reading(self) -> Reading:
        """How it encodes."""
        from clir_core.model.encoder import reading_with

        return reading_with(self._checkpoint, self._encoder)

    def encode(self, texts: pa.Table, kind: str) -> pa.Table:
        """Rows of the vector table for texts (id, group_id, lang, text_hash, text)."""
        frame = pl.DataFrame(pl.from_arrow(texts))
        return rows(frame, *self._encoder.encode_telling_cuts(frame["text"].to_list(), kind))


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

    def reading(self) -> Reading:
        """How they encode. Waits until every actor has loaded the checkpoint."""
        readings: list[Reading] = [unwrapped(ref) for ref in [actor.reading.remote() for actor in self._actors]]
        return readings[0]

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
