"""Prefect's worker: `python -m deployments.worker`, with the options of `prefect worker start`.

A run whose process was killed is due again within seconds, before the worker has let go of its slot. Prefect's own then
asks for the slot again, is told that it holds it already, and dies with every run that it has (prefect 3.8.8; of a kind
with PrefectHQ/prefect#10632). Here such a run waits for the next look.
"""

import runpy
import sys
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.workers.process import ProcessWorker

_submit = ProcessWorker._submit_scheduled_flow_runs


async def submit_what_has_ended(worker: Any, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
    """Submit the runs that are due, without those that still hold a slot."""
    held = worker.limiter.statistics().borrowers
    return await _submit(worker, [each for each in flow_run_response if each.flow_run.id not in held])


def main() -> None:
    """Become Prefect's worker."""
    ProcessWorker._submit_scheduled_flow_runs = submit_what_has_ended  # type: ignore[assignment]
    sys.argv = ["prefect", "--no-prompt", "worker", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
