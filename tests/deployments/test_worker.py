"""What Prefect's own worker dies of, and the project's does not."""

import os
import socket
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.workers.process import ProcessWorker

from clir_core.workspace import processes
from deployments import worker as ours


def due(run: uuid.UUID) -> Any:
    return SimpleNamespace(flow_run=SimpleNamespace(id=run))


def holding(run: uuid.UUID) -> ProcessWorker:
    """A worker that still has a slot for this run."""
    worker = ProcessWorker(work_pool_name="any")
    worker._limiter = anyio.CapacityLimiter(2)
    worker._limiter.acquire_on_behalf_of_nowait(run)
    return worker


def test_a_run_that_is_due_before_its_slot_is_free_waits() -> None:
    async def look() -> list[Any]:
        run = uuid.uuid4()
        worker = holding(run)
        worker.looked = time.monotonic()
        return await ours.submit_what_has_ended(worker, [due(run)])

    assert anyio.run(look) == []


def test_prefects_own_dies_of_it() -> None:
    """Where this fails, deployments/worker.py has had its day."""

    async def look() -> list[Any]:
        run = uuid.uuid4()
        return await ours._submit(holding(run), [due(run)])

    with pytest.raises(RuntimeError, match="already holding"):
        anyio.run(look)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Flow run infrastructure exited with non-zero status code -9. Process exited due to a SIGKILL signal.", []),
        (
            "Failed to submit flow run to infrastructure: OSError: no",
            ["Failed to submit flow run to infrastructure: OSError: no"],
        ),
    ],
)
def test_a_crash_is_reported_unless_who_started_the_process_has(
    message: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def report(_: Any, run: Any, message: str, client: Any) -> None:
        said.append(message)

    monkeypatch.setattr(ours, "_report", report)
    anyio.run(ours.report_once, None, None, message)
    assert said == told


class Client:
    """A server with one run."""

    def __init__(self, *states: str, ago: timedelta) -> None:
        kinds = [State(type=StateType(kind), timestamp=datetime.now(UTC) - ago) for kind in states]
        self.run = SimpleNamespace(id=uuid.uuid4(), state=kinds[-1])
        self.states = kinds
        self.set: list[str | None] = []

    async def read_flow_runs(self, flow_run_filter: Any, **_: Any) -> list[Any]:
        return [self.run] if self.run.state.type in flow_run_filter.state.type.any_ else []

    async def read_flow_run_states(self, run: uuid.UUID) -> list[Any]:
        return self.states

    async def set_flow_run_state(self, run: uuid.UUID, state: Any, force: bool = False) -> None:
        assert run == self.run.id
        self.set.append(state.name)


@pytest.mark.parametrize(
    ("states", "hours_ago", "then"),
    [
        (["RUNNING", "CRASHED"], 0, ["AwaitingRetry"]),
        (["PENDING", "CRASHED"], 0, ["AwaitingRetry"]),
        (["CRASHED", "SCHEDULED", "CRASHED"], 5, ["AwaitingRetry"]),
        (["CRASHED", "RUNNING", "CRASHED", "RUNNING", "CRASHED"], 0, []),
        (["CRASHED"], 7, []),
        (["CRASHED", "RUNNING"], 0, []),
    ],
)
def test_a_crashed_run_is_started_again_but_not_for_ever(states: list[str], hours_ago: int, then: list[str]) -> None:
    client = Client(*states, ago=timedelta(hours=hours_ago))
    anyio.run(ours.start_again, client, "clir")
    assert client.set == then


@pytest.mark.parametrize(
    ("state", "seconds_ago", "signed", "is_held", "then"),
    [
        ("RUNNING", 1, "mine", False, ["Crashed"]),
        ("RUNNING", 1, "mine", True, []),
        ("RUNNING", 1, "one that is gone", False, ["Crashed"]),
        ("PENDING", 1, "one that is gone", False, ["Crashed"]),
        ("RUNNING", 99, "another machine's", False, []),
        ("RUNNING", 99, "another's, alive", False, []),
        ("RUNNING", 99, "nobody's", False, []),
        ("PENDING", 61, "nobody's", False, ["Crashed"]),
        ("PENDING", 30, "nobody's", False, []),
    ],
)
def test_a_run_that_is_in_nobodys_hands_counts_as_crashed(
    state: str, seconds_ago: int, signed: str, is_held: bool, then: list[str]
) -> None:
    """As where the worker was killed that took it: its process was ended with it, and had not said anything yet."""
    client = Client(state, ago=timedelta(seconds=seconds_ago))
    host = socket.gethostname()
    signs = {
        "mine": ours.sign(),
        "one that is gone": f"{host} {os.getpid()} 1",
        "another machine's": "elsewhere 1 1",
        "another's, alive": f"{host} {os.getppid()} {processes.started(os.getppid())}",
    }
    client.run.labels = {ours.SIGN: signs[signed]} if signed in signs else {}
    held = [client.run.id] if is_held else []

    async def looks() -> None:
        missed = await ours.give_up(client, "clir", held, {})
        assert client.set == []  # at its first look it may be about to say how it ended
        await ours.give_up(client, "clir", held, {run: since - 16 for run, since in missed.items()})

    anyio.run(looks)
    assert client.set == then


def test_prefect_reports_a_process_end_in_these_words() -> None:
    """The worker's report of a process that ended is known by how it begins."""
    import inspect

    from prefect.workers.base import BaseWorker

    assert '"Flow run infrastructure exited with non-zero status code"' in inspect.getsource(
        BaseWorker._submit_run_and_capture_errors
    )
