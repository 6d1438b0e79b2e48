"""What Prefect's own worker dies of, and the project's does not."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from prefect.workers.process import ProcessWorker

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


@pytest.mark.parametrize(
    ("attempts", "hours_ago", "again"), [(1, 0, True), (2, 5, True), (3, 0, False), (0, 0, False), (1, 7, False)]
)
def test_a_crashed_run_is_started_again_while_it_has_attempts(attempts: int, hours_ago: int, again: bool) -> None:
    set_states: list[tuple[str, str]] = []

    class Client:
        async def read_flow_runs(self, **_: Any) -> list[Any]:
            state = SimpleNamespace(timestamp=datetime.now(UTC) - timedelta(hours=hours_ago))
            return [SimpleNamespace(id="run", run_count=attempts, state=state)]

        async def set_flow_run_state(self, run: str, state: Any) -> None:
            set_states.append((run, state.name))

    anyio.run(ours.start_again, Client(), "clir")
    assert set_states == ([("run", "AwaitingRetry")] if again else [])


def test_prefect_reports_a_process_end_in_these_words() -> None:
    """The worker's report of a process that ended is known by how it begins."""
    import inspect

    from prefect.workers.base import BaseWorker

    assert '"Flow run infrastructure exited with non-zero status code"' in inspect.getsource(
        BaseWorker._submit_run_and_capture_errors
    )
