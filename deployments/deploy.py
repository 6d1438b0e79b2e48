"""The work pool with its queues, and every deployment of prefect.yaml, made or brought up to date on the server.

Imports Prefect, so its settings have to be in the environment before.
"""

import os
import subprocess
import sys
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from clir_core.errors import SpecError
from clir_core.workspace.storage import explained
from deployments.parts import POOL, tail
from deployments.settings import ROOT

PREFECT_FILE = ROOT / "deployments" / "prefect.yaml"
# two trainings would only slow each other
QUEUES = {"audits": None, "training": 1}


def make_pool() -> None:
    """The pool `clir`, of processes on the worker's machine, and its queues with their limits."""
    about = f"Flow runs as processes beside the worker. Queues: {', '.join(QUEUES)}."
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
            client.update_work_pool(POOL, WorkPoolUpdate(description=about))
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", description=about))
        for name, limit in QUEUES.items():
            _make_queue(client, name, limit)


def _make_queue(client: SyncPrefectClient, name: str, limit: int | None) -> None:
    try:
        queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
    except ObjectNotFound:
        client.create_work_queue(name, concurrency_limit=limit, work_pool_name=POOL)
    else:
        client.update_work_queue(queue.id, concurrency_limit=limit)


def deploy(log: Path) -> tuple[str, ...]:
    """Deploy everything in prefect.yaml; the names of what is deployed. SpecError with the end of the log otherwise."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE)]
    # without CLIR_ROOT the pull step keeps its placeholder, which each worker fills in for itself
    environment = {name: value for name, value in os.environ.items() if name != "CLIR_ROOT"}
    with explained(log), log.open("wb") as output:
        done = subprocess.run(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SpecError(f"{PREFECT_FILE}: not deployed\n{tail(log)}\nThe whole output is in {log}")
    with get_client(sync_client=True) as client:
        names = {flow.id: flow.name for flow in client.read_flows()}
        return tuple(sorted(f"{names[each.flow_id]}/{each.name}" for each in client.read_deployments()))
