"""Prefect's worker: `python -m deployments.worker`, with the options of `prefect worker start`.

A run whose process was killed is due again within seconds, before Prefect's own worker is done with it (3.8.8):

- It asks for the run's slot, is told that it holds it already, and dies with every run that it has (of a kind with
  PrefectHQ/prefect#10632). Here such a run waits for the next look.
- It reports the crash a second time, of a run that may have started again meanwhile. Here it reports no process's end.
"""

import runpy
import sys
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.workers.process import ProcessWorker

_submit = ProcessWorker._submit_scheduled_flow_runs
_report = ProcessWorker._propose_crashed_state


async def submit_what_has_ended(worker: Any, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
    """Submit the runs that are due, without those that still hold a slot."""
    held = worker.limiter.statistics().borrowers
    return await _submit(worker, [each for each in flow_run_response if each.flow_run.id not in held])


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
