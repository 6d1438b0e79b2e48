"""A service for tests: its commands as the Makefile calls them, its API, and what its webhook receives."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Service:
    """A service that is up."""

    workspace: Path
    environment: dict[str, str]
    api: httpx.Client
    notified: "Queue[dict[str, Any]]"

    def call(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return call(command, {**self.environment, **environment})

    def pid(self, part: str) -> int:
        return int(json.loads((self.workspace / "service" / f"{part}.json").read_text("utf-8"))["pid"])

    def ask(self, method: str, url: str, body: Any = None) -> Any:
        """The API's answer. Like Prefect's own client, asks again where SQLite's one writer is busy."""
        deadline = time.monotonic() + 60
        while (answer := self.api.request(method, url, json=body)).status_code == 503:
            assert time.monotonic() < deadline, f"{method} {url}: {answer.text}"
            time.sleep(0.5)
        return answer.raise_for_status().json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/deployments/name/{name}"))


def call(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m deployments.service COMMAND`, as the Makefile calls it."""
    arguments = [sys.executable, "-m", "deployments.service", command]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
