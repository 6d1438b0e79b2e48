"""Prefect's worker: `python -m deployments.worker`, with the options of `prefect worker start`.

A run whose process was killed is due again within seconds, before Prefect's own worker is done with it (3.8.8):

- It asks for the run's slot, is told that it holds it already, and dies with every run that it has (of a kind with
  PrefectHQ/prefect#10632). Here such a run waits for the next look.
- It reports the crash a second time, of a run that may have started again meanwhile. Here it reports no process's end.

And it looks for runs that crashed, to start them again: an automation misses what happens in the first seconds of a
server that starts anew, which is when runs report that they crashed with the one before.
"""

import runpy
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import AwaitingRetry
from prefect.workers.process import ProcessWorker

ATTEMPTS = 3
SECONDS_BETWEEN_LOOKS = 5.0
FORGOTTEN = timedelta(hours=6)  # after a crash: what lay so long is nobody's wish any more

_submit = ProcessWorker._submit_scheduled_flow_runs
_report = ProcessWorker._propose_crashed_state


async def submit_what_has_ended(worker: Any, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
    """Submit the runs that are due, without those that still hold a slot; and look for those that crashed."""
    await _look_now_and_then(worker)
    held = worker.limiter.statistics().borrowers
    return await _submit(worker, [each for each in flow_run_response if each.flow_run.id not in held])


async def _look_now_and_then(worker: Any) -> None:
    if time.monotonic() - getattr(worker, "looked", -SECONDS_BETWEEN_LOOKS) >= SECONDS_BETWEEN_LOOKS:
        worker.looked = time.monotonic()
        await start_again(worker.client, worker.work_pool.name)


async def start_again(client: Any, pool: str) -> None:
    """Make those runs of the pool due again that crashed and have attempts left. Finished steps are kept."""
    crashed = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED]))
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=crashed),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        sort=FlowRunSort.END_TIME_DESC,
        limit=50,
    )
    for run in found:
        since = datetime.now(UTC) - run.state.timestamp
        if since <= FORGOTTEN and 0 < run.run_count < ATTEMPTS:
            await client.set_flow_run_state(run.id, AwaitingRetry(message="Crashed; started again by the worker"))


async def report_once(worker: Any, flow_run: FlowRun, message: str, client: Any = None) -> None:
    """Report a crash, but not that of a process, which who started it has reported."""
    if not message.startswith("Flow run infrastructure exited"):
        await _report(worker, flow_run, message, client)


def main() -> None:
    """Become Prefect's worker."""
    ProcessWorker._submit_scheduled_flow_runs = submit_what_has_ended  # type: ignore[assignment]
    ProcessWorker._propose_crashed_state = report_once  # type: ignore[assignment]
    sys.argv = ["prefect", "--no-prompt", "worker", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
