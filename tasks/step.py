"""What every step of a flow is to Prefect: a named task, tried again where only a worker was lost."""

import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

P = ParamSpec("P")
R = TypeVar("R")


def step(name: str, retries: int = 0) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task of this name. Prefect keeps nothing of it: what has to last, steps and LanceDB keep."""
    return task(
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=retries,
        retry_delay_seconds=5,
        retry_condition_fn=_retriable,
    )


def _retriable(task: object, task_run: object, state: object) -> bool:
    if "ray" not in sys.modules:  # nor was any worker
        return False
    from clir_core.jobs.cluster import may_pass

    return may_pass(state.result(raise_on_failure=False))  # type: ignore[attr-defined]
