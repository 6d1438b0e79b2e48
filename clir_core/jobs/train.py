"""Alignment with Ray Train: workers that share every batch, in a run that can be cut off at any step and goes on.

Ray Train starts the workers, joins them in a process group and notices one that is lost. States and checkpoints are
files of ours in the run's directory, which every node must see: the snapshot in which Ray lists its own is not written
at once, and a run that was killed meanwhile would never start again.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from clir_core.align.data import check_enough
from clir_core.align.result import Evaluated, Progressed, Trained
from clir_core.align.spec import AlignSpec
from clir_core.align.train.held_out import hold_out
from clir_core.align.train.kept import clear, finished, kept
from clir_core.align.train.log import best, read, steps_done
from clir_core.align.train.memory import KEEP_FREED_MEMORY
from clir_core.align.train.objective import needs
from clir_core.errors import AlignError, ClirError
from clir_core.jobs.cluster import has_dashboard, has_gpu, threads_of_each
from clir_core.model.checkpoint import Checkpoint
from clir_core.spec import sha256_of
from clir_core.workspace.steps import once, step_directory, write_text
from clir_core.workspace.storage import explained

ATTEMPTS = 3  # where a process is lost: the run goes on from its last state
SECONDS_BETWEEN = 0.5

# steps done and steps to do
Progress = Callable[[int, int], None]
T = TypeVar("T")


def run_directory(spec: AlignSpec, base: Checkpoint, triples: pa.Table) -> Path:
    """Where this run keeps everything: named by all that can change a weight."""
    return step_directory(spec.workspace, "train", **_depends_on(spec, base, triples))


def train(
    spec: AlignSpec, base: Checkpoint, triples: pa.Table, workspace_dir: Path, say: Progress
) -> tuple[Trained, bool]:
    """Train in `workspace_dir`, or go on with what was cut off there; and whether it was finished before.

    Within `cluster`. Errors: AlignError for triples, a base or a loss that cannot be trained with; StoreError for
    storage. What was done until then stays.
    """
    directory = workspace_dir.expanduser().resolve()
    found, before = once(directory, Trained, lambda _: _train(spec, base, triples, directory, say))
    clear(directory)
    return found, before


def _train(spec: AlignSpec, base: Checkpoint, triples: pa.Table, directory: Path, say: Progress) -> Trained:
    started = time.monotonic()
    _claim(directory, _depends_on(spec, base, triples))
    _check_sides(spec, triples)
    check_enough(triples, spec.optimiser.batch)
    fitted, held = hold_out(pl.DataFrame(pl.from_arrow(triples)), spec.held_out, spec.seed)
    n_held = held["group_id"].n_unique()
    if len(fitted) < spec.optimiser.batch:
        raise AlignError(
            f"{len(fitted)} of {len(triples)} triples are left when {n_held} groups are held out, fewer than a batch "
            f"of {spec.optimiser.batch}; lower optimiser.batch or held_out, or add triples"
        )
    total = len(fitted) // spec.optimiser.batch * spec.epochs
    done_before = steps_done(directory)
    work = {"spec": spec, "base": base.model_copy(update={"dtype": "float32"}), "directory": directory}
    _watched(lambda: _fit({**work, "triples": fitted, "held": held}), lambda: say(steps_done(directory), total))
    say(total, total)
    steps, evaluations = read(directory, Progressed), read(directory, Evaluated)
    checkpoint, with_head = finished(directory) or (kept(directory), None)
    assert checkpoint and len(steps) == total, f"{directory}: {len(steps)} of {total} steps, {checkpoint}"
    chosen = best(evaluations)
    return Trained(
        name=directory.name,
        checkpoint=checkpoint,
        steps=tuple(steps),
        evaluations=tuple(evaluations),
        best_step=chosen.step if chosen else total,
        with_head=with_head,
        triples=len(fitted),
        held_out=n_held,
        languages=dict(sorted(fitted.group_by("lang").len().iter_rows())),
        seconds=sum(step.seconds for step in steps),
        seconds_around=time.monotonic() - started - sum(step.seconds for step in steps[done_before:]),
    )


# the base and the triples stand for what they came from; the rest changes no weight
_CHANGES_NOTHING = {
    "base", "encoding", "train", "languages", "triples", "evaluation", "gate", "allow_contamination",
    "runtime", "workspace", "out",
}  # fmt: skip


def _depends_on(spec: AlignSpec, base: Checkpoint, triples: pa.Table) -> dict[str, Any]:
    settings = spec.model_dump(mode="json", exclude=_CHANGES_NOTHING)
    return {"base": base.vectors, "triples": sha256_of(triples.to_pylist()), "settings": settings}


def _claim(directory: Path, depends_on: dict[str, Any]) -> None:
    """Write down whose directory it is; AlignError where it is another run's."""
    file, identity = directory / "run.txt", sha256_of(depends_on)
    with explained(file):
        owner = file.read_text("utf-8").strip() if file.exists() else identity
    if owner != identity:
        raise AlignError(
            f"{directory} belongs to another run, {owner[:16]}, and this one is {identity[:16]}; train in another "
            "directory, or delete that one"
        )
    write_text(file, identity + "\n")


def _check_sides(spec: AlignSpec, triples: pa.Table) -> None:
    """AlignError where a term of the loss has nothing to work on: of all sides only q_x may be missing."""
    required = needs(spec.loss).required
    if "q_x" in required and triples["q_x"].null_count == len(triples):
        raise AlignError(
            f"the loss ({', '.join(spec.loss.weights())}) reads q_x, queries in the other language, and none of the "
            f"{len(triples)} triples has one; add them or choose a loss without"
        )


def _fit(work: dict[str, Any]) -> None:
    """One or more fits by Ray Train until the run is done: a lost process is replaced."""
    # the trainer would change the directory that relative paths start from, and look every two seconds only
    os.environ.update(RAY_CHDIR_TO_TRIAL_DIR="0", RAY_TRAIN_METRICS_ENABLED="0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")
    gpu = has_gpu()
    threads = _threads(work["spec"].workers, gpu)
    scaling = ScalingConfig(
        num_workers=work["spec"].workers,
        use_gpu=gpu,
        resources_per_worker={"CPU": threads, **({"GPU": 1} if gpu else {})},
    )
    storage = RunConfig(
        name="ray",
        storage_path=str(work["directory"]),
        failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        logging_config=LoggingConfig(log_level="ERROR"),
        worker_runtime_env={"env_vars": KEEP_FREED_MEMORY},
    )
    for attempt in range(1, ATTEMPTS + 1):
        trainer = _Trainer(
            _work, train_loop_config={**work, "threads": threads}, scaling_config=scaling, run_config=storage
        )
        try:
            trainer.fit()
            return
        except (TrainingFailedError, RayError) as failed:
            error = _cause(failed)
            if isinstance(error, ClirError):
                raise error from None
            if attempt == ATTEMPTS:
                raise _explained_loss(error) from failed


class _Trainer(TorchTrainer):
    """Ray's, without the actor that frees the workers' processors if the controller dies, where it would be in vain.

    It asks the dashboard whether the controller lives. A local cluster has none and goes with the run; the actor would
    look for one until Ray has waited 12 seconds for it, at the end of every run.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [one for one in callbacks if has_dashboard() or not isinstance(one, PlacementGroupCleanerCallback)]


def _cause(failed: Exception) -> BaseException:
    """What the first worker raised, a user's error before any other; else what became of it."""
    failures = getattr(failed, "worker_failures", {})
    raised = [failures[rank] for rank in sorted(failures)] or [getattr(failed, "controller_failure", failed)]
    causes = [getattr(one, "_base_exc", getattr(one, "health_check_failure", one)) for one in raised]
    return next((cause for cause in causes if isinstance(cause, ClirError)), causes[0])


def _explained_loss(error: BaseException) -> BaseException:
    if not type(error).__module__.startswith("ray."):
        return error  # of the training itself: a bug
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return AlignError(
        f"a training process was lost, or did not start, {ATTEMPTS} times ({reason}); it may need more memory: set "
        "optimiser.micro_batch. Start again to go on from the last state"
    )


def _threads(workers: int, gpu: bool) -> int:
    """Processors for each worker: as many as all workers can have on the cluster's nodes."""
    found = threads_of_each(workers, gpu)
    if found is None:
        resources = ray.cluster_resources()
        has = f"{resources.get('GPU', 0):.0f} GPUs" if gpu else f"{resources.get('CPU', 0):.0f} processors"
        raise AlignError(f"{workers} workers cannot start on a cluster with {has}; lower `workers`")
    return found


def _work(config: dict[str, Any]) -> None:
    # in the worker alone: to import what it needs takes seconds, and the controller reads this file as well
    from clir_core.jobs.train_worker import work

    work(**config)


def _watched(work: Callable[[], T], watch: Callable[[], None]) -> T:
    """The work's result, or its error; meanwhile `watch` is called in this thread, as a flow's log needs it."""
    future: Future[T] = Future()

    def in_background() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    # a daemon: who interrupts this thread need not wait for the training
    threading.Thread(target=in_background, daemon=True).start()
    while not wait([future], SECONDS_BETWEEN).done:
        watch()
    return future.result()
