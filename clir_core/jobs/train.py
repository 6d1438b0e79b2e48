"""Fits by Ray Train: workers that share every batch.

Ray Train starts the workers, joins them in a process group and notices one that is lost. States and checkpoints are
files of ours in the run's directory, which every node must see: the snapshot in which Ray lists its own is not written
at once, and a run that was killed meanwhile would never start again.
"""

import os
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, TrainingFailedError

from clir_core.align.train.memory import KEEP_FREED_MEMORY
from clir_core.errors import AlignError, ClirError, first_line
from clir_core.jobs.cluster import has_gpu, threads_of_each
from clir_core.jobs.private_train import Trainer, cause
from clir_core.runs.train import Fitting
from clir_core.workspace import layout

ATTEMPTS = 3  # where a process is lost: the run goes on from its last state


def fit(asked: Fitting) -> None:
    """One or more fits by Ray Train until the run is done: a lost process is replaced."""
    # the trainer would change the directory that relative paths start from, and look every two seconds only
    os.environ.update(RAY_CHDIR_TO_TRIAL_DIR="0", RAY_TRAIN_METRICS_ENABLED="0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")
    gpu = has_gpu()
    threads = _threads(asked["spec"].workers, gpu)
    scaling = ScalingConfig(
        num_workers=asked["spec"].workers,
        use_gpu=gpu,
        resources_per_worker={"CPU": threads, **({"GPU": 1} if gpu else {})},
    )
    storage = RunConfig(
        name=layout.RAY,
        storage_path=str(asked["directory"]),
        failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        logging_config=LoggingConfig(log_level="ERROR"),
        worker_runtime_env={"env_vars": KEEP_FREED_MEMORY},
    )
    for attempt in range(1, ATTEMPTS + 1):
        trainer = Trainer(
            _work, train_loop_config={**asked, "threads": threads}, scaling_config=scaling, run_config=storage
        )
        try:
            trainer.fit()
            return
        except (TrainingFailedError, RayError) as failed:
            error = cause(failed)
            if isinstance(error, ClirError):
                raise error from None
            if attempt == ATTEMPTS:
                raise _explained_loss(error) from failed


def _explained_loss(error: BaseException) -> BaseException:
    if not type(error).__module__.startswith("ray."):
        return error  # of the training itself: a bug
    return AlignError(
        f"a training process was lost, or did not start, {ATTEMPTS} times ({first_line(error)}); it may need more "
        "memory: set optimiser.micro_batch. Start again to go on from the last state"
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
    from clir_core.jobs.train_worker import work_beside_others

    work_beside_others(**config)
