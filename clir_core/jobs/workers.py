"""A Ray cluster that does the heavy steps of runs. A local one starts when the first of them has something to do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clir_core.align.result import Trained
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import Embedded
from clir_core.audit.spec import EmbedSpec, RuntimeSpec
from clir_core.errors import SpecError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.device import dtype_of, has_gpu_here
from clir_core.rank.ranked import Ranked
from clir_core.workspace.layout import RESULT
from clir_core.workspace.progress import Bars
from clir_core.workspace.steps import read_result

if TYPE_CHECKING:
    import pyarrow as pa

    from clir_core.corpus.tables import Corpus
    from clir_core.jobs.requests import Request
    from clir_core.runs.embed import Encoders
    from clir_core.runs.workers import Ranking

_open: list["RayWorkers"] = []


@contextmanager
def ray_workers(runtime: RuntimeSpec, say: Callable[[str], None]) -> Iterator["RayWorkers"]:
    """The workers of a run; a run within another one has that one's. Main thread only.

    `say` takes what the jobs of a standing cluster write into their logs.
    """
    if _open:
        yield _open[-1]
        return
    with ExitStack() as stack:
        _open.append(RayWorkers(runtime, say, stack))
        try:
            yield _open[-1]
        finally:
            _open.pop()


class RayWorkers:
    """Actors and tasks of a cluster that this process attaches to or starts, or Jobs of a standing one."""

    def __init__(self, runtime: RuntimeSpec, say: Callable[[str], None], stack: ExitStack) -> None:
        self._runtime, self._say, self._stack = runtime, say, stack
        self._started = False

    def dtype(self, runtime: RuntimeSpec) -> str:
        """bfloat16 where the cluster has GPUs. A local one is not started to be asked."""
        if runtime.jobs:
            from clir_core.jobs.submit import has_gpu as cluster_has_gpu

            return dtype_of(cluster_has_gpu(runtime.jobs))
        if runtime.ray_address:
            self._start()
            from clir_core.jobs.cluster import has_gpu

            return dtype_of(has_gpu())
        return dtype_of(has_gpu_here())

    def embed(
        self, spec: EmbedSpec, corpus: "Corpus", checkpoint: Checkpoint, fit: "Corpus | None", bars: Bars
    ) -> Embedded:
        """Encode what the vector tables lack, by actors; what is not computed here is fetched by this process."""
        if checkpoint.kind in ("vectors", "served"):
            from clir_core.runs import elsewhere

            return elsewhere.embed(spec, corpus, checkpoint, fit, bars)
        from clir_core.runs.embed import count_missing, embed_corpus

        missing = count_missing(corpus, checkpoint, spec, fit)
        by_job = bool(missing and spec.runtime.jobs)
        if by_job:
            from clir_core.jobs.requests import EmbedRequest

            request = EmbedRequest(
                spec=spec, checkpoint=checkpoint, corpus=corpus.fingerprint(), fit=fit.fingerprint() if fit else None
            )
            self._by_job(request, lambda: not count_missing(corpus, checkpoint, spec, fit), bars)
        elif missing:
            self._start()
            _check_device(checkpoint)
        embedded = embed_corpus(corpus, checkpoint, spec, bars, fit, encoders=encoders)
        if by_job:
            return embedded.model_copy(update={"encoded": missing, "reused": embedded.reused - missing})
        return embedded

    def rank(self, asked: "Ranking", bars: Bars) -> tuple[Ranked, bool]:
        """Rank every gold in every pool, in the step's directory; and whether that was done before."""
        done = asked.directory / RESULT
        if found := read_result(done, Ranked):
            return found, True
        if asked.spec.runtime.jobs:
            from clir_core.jobs.requests import RankRequest

            request = RankRequest(
                spec=asked.spec,
                normalize=asked.unit,
                embedded=asked.embedded,
                corpus=asked.corpus.fingerprint(),
                ranks=asked.directory,
            )
            self._by_job(request, lambda: read_result(done, Ranked) is not None, bars)
            found = read_result(done, Ranked)
            assert found
            return found, False
        self._start()
        from clir_core.jobs.rank import in_tasks
        from clir_core.runs.rank import rank_once

        return rank_once(asked, bars, in_tasks)

    def train(
        self, spec: AlignSpec, base: Checkpoint, triples: "pa.Table", run: Path, bars: Bars
    ) -> tuple[Trained, bool]:
        """Train with Ray Train, or go on where an earlier session ended; and whether that was finished before."""
        from clir_core.runs.train import train

        if found := read_result(run / RESULT, Trained):
            return found, True
        if spec.runtime.jobs:
            from clir_core.jobs.requests import TrainRequest

            request = TrainRequest(spec=spec, base=base, run=run)
            self._by_job(request, lambda: read_result(run / RESULT, Trained) is not None, bars)
            found = read_result(run / RESULT, Trained)
            assert found
            return found, False
        self._start()
        from clir_core.jobs.train import fit

        return train(spec, base, triples, run, bars("train"), fit)

    def _start(self) -> None:
        if not self._started:
            from clir_core.jobs.cluster import cluster

            self._stack.enter_context(cluster(self._runtime.ray_address))
            self._started = True

    def _by_job(self, request: "Request", is_done: Callable[[], bool], bars: Bars) -> None:
        from clir_core.jobs.submit import do_by_job

        assert request.spec.runtime.jobs
        do_by_job(request.spec.runtime.jobs, request, is_done, bars, self._say)


@contextmanager
def encoders(checkpoint: Checkpoint, runtime: RuntimeSpec) -> Iterator["Encoders"]:
    """Actors of the cluster that runs."""
    from clir_core.jobs.embed import EncoderPool

    with EncoderPool(checkpoint, runtime) as pool:
        yield pool


def _check_device(checkpoint: Checkpoint) -> None:
    from clir_core.jobs.cluster import has_gpu

    if checkpoint.dtype == dtype_of(gpu=True) and not has_gpu():
        raise SpecError(
            "this machine has a GPU that Ray does not see, so a CPU would compute in 16 bits; start with "
            "CUDA_VISIBLE_DEVICES='' to compute without it, or mend its driver"
        )
