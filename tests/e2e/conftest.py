"""One Prefect server and one Ray cluster for all end-to-end tests, and a console command beside them."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a temporary Prefect server, which every flow of this session reports to."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401  before prefect: no telemetry

    home = tmp_path_factory.mktemp("prefect")
    with temporary_settings({PREFECT_HOME: home}), prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value()


@pytest.fixture(scope="session")
def run_flow(prefect_api: str, ray_cluster: None) -> Callable[..., Any]:
    """Run the flow `audit` in this process. Returns its final state, whatever that is."""
    from flows.audit import audit

    return lambda spec: audit(spec, return_state=True)


@pytest.fixture(scope="session")
def clir(prefect_api: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the console command in a process of its own, against the session's Prefect server."""

    def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        environment = {**os.environ, "PREFECT_API_URL": prefect_api, "COLUMNS": "120", **(env or {})}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture(scope="session")
def task_log() -> Callable[[], Any]:
    """Collect what the tasks and flows of a `with` block log."""

    class Lines(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.lines.append(record.getMessage())

    @contextmanager
    def collect() -> Iterator[list[str]]:
        handler = Lines()
        loggers = [logging.getLogger(name) for name in ("prefect.task_runs", "prefect.flow_runs")]
        for logger in loggers:
            logger.addHandler(handler)
        try:
            yield handler.lines
        finally:
            for logger in loggers:
                logger.removeHandler(handler)

    return collect
