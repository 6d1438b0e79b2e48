"""The heavy steps of a run in this process alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clir_core.align.result import Trained
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import Embedded
from clir_core.audit.spec import EmbedSpec, RuntimeSpec
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.reading import Reading
from clir_core.rank.ranked import Ranked
from clir_core.runs.workers import Ranking
from clir_core.workspace.progress import Bars

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from clir_core.corpus.tables import Corpus
    from clir_core.runs.embed import Encoders


class Here:
    """This process alone, on its processors: for corpora that one machine can take, and without a cluster to start."""

    def dtype(self, runtime: RuntimeSpec) -> str:
        """Of a CPU."""
        return "float32"

    def embed(
        self, spec: EmbedSpec, corpus: "Corpus", checkpoint: Checkpoint, fit: "Corpus | None", bars: Bars
    ) -> Embedded:
        """Encode what the vector tables lack, one block after the other."""
        if checkpoint.kind in ("vectors", "served"):
            from clir_core.runs import elsewhere

            return elsewhere.embed(spec, corpus, checkpoint, fit, bars)
        from clir_core.runs.embed import embed_corpus

        return embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=encoders)

    def rank(self, asked: Ranking, bars: Bars) -> tuple[Ranked, bool]:
        """Rank every gold in every pool, in the step's directory; and whether that was done before."""
        from clir_core.runs.rank import rank_once

        return rank_once(asked, bars)

    def train(
        self, spec: AlignSpec, base: Checkpoint, triples: "pa.Table", run: Path, bars: Bars
    ) -> tuple[Trained, bool]:
        """Train in the run's directory, or go on there; and whether that was finished before.

        Raises AlignError where several workers are asked for.
        """
        from clir_core.align.train.worker import work
        from clir_core.runs.train import train

        if spec.workers > 1:
            raise AlignError(f"{spec.workers} workers need a Ray cluster; train with Ray, or with one worker")
        return train(spec, base, triples, run, bars("train"), lambda asked: work(**asked))


class _Encoder:
    """One loaded checkpoint."""

    def __init__(self, checkpoint: Checkpoint, runtime: RuntimeSpec) -> None:
        from clir_core.model.encoder import load_encoder

        self._checkpoint, self._encoder = checkpoint, load_encoder(checkpoint, "cpu", runtime.batch_tokens)

    def reading(self) -> Reading:
        """How it encodes."""
        from clir_core.model.encoder import reading_with

        return reading_with(self._checkpoint, self._encoder)

    def encode(self, blocks: "list[pl.DataFrame]", kind: str) -> "Iterator[pa.Table]":
        """Rows of each block, in order."""
        from clir_core.rank.store import rows

        for block in blocks:
            yield rows(block, *self._encoder.encode_telling_cuts(block["text"].to_list(), kind))


@contextmanager
def encoders(checkpoint: Checkpoint, runtime: RuntimeSpec) -> "Iterator[Encoders]":
    """The checkpoint, loaded in this process; or whoever else has its vectors."""
    if checkpoint.kind in ("vectors", "served"):
        from clir_core.runs import elsewhere

        with elsewhere.encoders(checkpoint, runtime) as opened:
            yield opened
    else:
        yield _Encoder(checkpoint, runtime)
