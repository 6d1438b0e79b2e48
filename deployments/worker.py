"""Prefect's worker: `python -m deployments.worker`, with the options of `prefect worker start`.

A run whose process was killed is due again within seconds, before Prefect's own worker is done with it (3.8.8):

- It asks for the run's slot, is told that it holds it already, and dies with every run that it has (of a kind with
  PrefectHQ/prefect#10632). Here such a run waits for the next look.
- It reports the crash a second time, of a run that may have started again meanwhile. Here it reports no process's end.

And it looks for runs to start again: those that crashed, as an automation misses what happens in the first seconds of a
server that starts anew, when runs report that they crashed with the one before; and those whose process, or worker, is
gone without a word.
"""

import os
import runpy
import socket
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import AwaitingRetry, Crashed
from prefect.workers.process import ProcessWorker

from clir_core.workspace import processes

ATTEMPTS = 3
SECONDS_BETWEEN_LOOKS = 5.0
SECONDS_TO_BE_SURE = 15.0  # from a process's end its run has so long to say how it ended
TO_TAKE = timedelta(seconds=60)  # from Pending to a worker's sign; milliseconds, but for a worker that was killed
FORGOTTEN = timedelta(hours=6)  # after a crash: what lay so long is nobody's wish any more
SIGN = "clir.worker"  # label of a run: whose hands it is in

_submit = ProcessWorker._submit_scheduled_flow_runs
_report = ProcessWorker._propose_crashed_state


async def submit_what_has_ended(worker: Any, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
    """Submit and sign the runs that are due, without those that hold a slot; and look for those to start again."""
    held = {*worker.limiter.statistics().borrowers}
    if time.monotonic() - getattr(worker, "looked", -SECONDS_BETWEEN_LOOKS) >= SECONDS_BETWEEN_LOOKS:
        worker.looked = time.monotonic()
        worker.missed = await give_up(worker.client, worker.work_pool.name, held, getattr(worker, "missed", {}))
        await start_again(worker.client, worker.work_pool.name)
    taken = await _submit(worker, [each for each in flow_run_response if each.flow_run.id not in held])
    for run in taken:
        await worker.client.update_flow_run_labels(run.id, {SIGN: sign()})
    return taken


def sign() -> str:
    """This very process: machine, pid and start time."""
    return f"{socket.gethostname()} {os.getpid()} {processes.started(os.getpid())}"


async def give_up(client: Any, pool: str, held: Collection[UUID], missed: Mapping[UUID, float]) -> dict[UUID, float]:
    """Count those runs of the pool as crashed that are in nobody's hands, and were not at earlier looks.

    Returns since when (monotonic seconds) each that goes on being missed was.
    """
    now, found = time.monotonic(), {}
    for run in await _runs(client, pool, StateType.PENDING, StateType.RUNNING):
        if not _is_lost(run, held):
            continue
        found[run.id] = missed.get(run.id, now)
        if now - found[run.id] >= SECONDS_TO_BE_SURE:
            gone: State[Any] = Crashed(message="Its process is gone, or the worker that took it")
            await client.set_flow_run_state(run.id, gone, force=True)
    return found


def _is_lost(run: FlowRun, held: Collection[UUID]) -> bool:
    """Whether no worker of this machine has it any more; those of other machines are not judged here."""
    if run.id in held:
        return False
    signed = run.labels.get(SIGN)
    if signed is None:
        return run.state is not None and run.state.type == StateType.PENDING and _since(run) >= TO_TAKE
    host, pid, ticks = str(signed).split()
    is_mine = host == socket.gethostname()
    return is_mine and (str(signed) == sign() or processes.started(int(pid)) != int(ticks))


async def start_again(client: Any, pool: str) -> None:
    """Make those runs of the pool due again that crashed, but for those that did so ATTEMPTS times."""
    for run in await _runs(client, pool, StateType.CRASHED):
        if _since(run) <= FORGOTTEN and await _crashes(client, run.id) < ATTEMPTS:
            await client.set_flow_run_state(run.id, AwaitingRetry(message="Crashed; started again by the worker"))


async def _runs(client: Any, pool: str, *kinds: StateType) -> list[FlowRun]:
    found: list[FlowRun] = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[*kinds]))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        sort=FlowRunSort.END_TIME_DESC,
        limit=50,
    )
    return found


def _since(run: FlowRun) -> timedelta:
    """How long it has been in its state."""
    assert run.state
    return datetime.now(UTC) - run.state.timestamp


async def _crashes(client: Any, run: UUID) -> int:
    """Counted in its history: a run that did not even start has made no attempt by its own count."""
    return sum(state.type == StateType.CRASHED for state in await client.read_flow_run_states(run))


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
