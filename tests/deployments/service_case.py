"""A service for tests: its commands as the Makefile calls them, its API, its runs, and what its webhook receives."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import torch
import yaml
from hub_stub import Hub
from ray.job_submission import JobDetails, JobSubmissionClient
from recording_proxy import Proxy
from safetensors.torch import load_file, save_file

from clir_core.jobs.token import authorization
from clir_core.registry.facts import Entry
from clir_core.registry.registry import Registry
from deployments import parts, process, supervisor
from deployments.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
# what nobody but its addressee may ever read: planted in the environment of the service's user
SECRETS = {
    name: f"planted{at}{name.lower().replace('_', '')}"
    for at, name in enumerate(
        ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "CLIR_EMBEDDINGS_KEY", "OPENAI_API_KEY", "CLIR_NOTIFY_URL")
    )
}
# what the user has set for other programs
STRAY = {
    "RAY_ADDRESS": "127.0.0.1:1",
    "RAY_NAMESPACE": "of-another",
    "RAY_PROFILING": "1",
    "PREFECT_API_URL": "http://127.0.0.1:1/api",
    "PREFECT_API_KEY": "of-another",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    "SOMETHING_ELSE": "1",
}


@dataclass(frozen=True)
class Service:
    """A service that is up, the only hub that it knows, its user's proxy, and what `up` said."""

    workspace: Path
    environment: dict[str, str]
    api: httpx.Client
    notified: "Queue[dict[str, Any]]"
    hub: Hub
    proxy: Proxy
    said_by_up: str

    def call(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return call(command, {**self.environment, **environment})

    @property
    def settings(self) -> Settings:
        """As the service's own commands have them."""
        ports = {
            name: int(self.environment[f"CLIR_{name.upper()}"]) for name in ("ui_port", "ray_port", "dashboard_port")
        }
        return Settings(workspace=self.workspace, **ports)

    def pid(self, part: str) -> int:
        """Of the process that the part is now."""
        return supervisor.watched(self.settings)[part].pid

    def kin(self, part: str | None = None) -> dict[int, int]:
        """The processes of a part, or of all and the supervisor."""
        running = supervisor.record(self.settings)
        assert running is not None
        return process.kin(running.mark, part)

    def is_up(self) -> bool:
        """Whether every part runs and answers."""
        known = supervisor.watched(self.settings)
        secret = (self.workspace / "prefect" / "auth").read_text("utf-8")
        return len(known) == 3 and all(
            found.state == "RUNNING" and parts.make(name, self.settings, secret).answers(found.since)
            for name, found in known.items()
        )

    def ask(self, method: str, url: str, body: Any = None) -> Any:
        """The API's answer. Like Prefect's own client, asks again where SQLite's one writer is busy."""
        deadline = time.monotonic() + 60
        while (answer := self.api.request(method, url, json=body)).status_code == 503:
            assert time.monotonic() < deadline, f"{method} {url}: {answer.text}"
            time.sleep(0.5)
        return answer.raise_for_status().json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/deployments/name/{name}"))

    def prefect(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Prefect's command, in a shell that has evaluated what `env` prints."""
        command = ["sh", "-c", f'{self.call("env").stdout}\nexec prefect --no-prompt "$@"', "sh", *arguments]
        environment = {**self.environment, "COLUMNS": "200"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)

    def start(self, deployment: str, **spec: Any) -> str:
        """A run of a deployment in this workspace; its id."""
        body = {"parameters": {"spec": {"workspace": str(self.workspace), **spec}}}
        return str(self.ask("POST", f"/deployments/{self.deployment(deployment)['id']}/create_flow_run", body)["id"])

    def completed(self, run: str, seconds: float = 600) -> dict[str, Any]:
        """The run once it has ended, and ended well. A crash is no end: the run starts again."""

        def ended() -> Any:
            found = self.ask("GET", f"/flow_runs/{run}")
            return found if found["state_type"] in ("COMPLETED", "FAILED", "CANCELLED") else None

        found = until(ended, seconds)
        assert found["state_type"] == "COMPLETED", f"{found['state']['message']}\n{self.said(run)}"
        return dict(found)

    def states(self, run: str) -> list[str]:
        """The names of all states that a run was in, oldest first."""
        found = self.ask("GET", f"/flow_run_states/?flow_run_id={run}")
        return [state["name"] for state in sorted(found, key=lambda state: state["timestamp"])]

    def within(self, run: str) -> list[dict[str, Any]]:
        """The sub-runs of a run."""
        return list(self.ask("POST", "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}))

    def said(self, run: str) -> str:
        """The log of a run, without those of its sub-runs."""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        return "\n".join(line["message"] for line in self.ask("POST", "/logs/filter", body))

    def artifacts(self, run: str) -> dict[str, Any]:
        """What a run and its sub-runs show, by key."""
        family = [run, *(each["id"] for each in self.within(run))]
        found = self.ask("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": family}}})
        return {each["key"]: each["data"] for each in found if each["key"]}

    def events(self, checkpoint: str) -> Counter[str]:
        """What was told of the checkpoint of this fingerprint, and how often."""
        today = datetime.now(UTC).replace(hour=0, minute=0).isoformat()
        resource = {"id": [f"clir.checkpoint.{checkpoint[:16]}"]}
        found = self.ask("POST", "/events/filter", {"filter": {"occurred": {"since": today}, "resource": resource}})
        return Counter(event["event"].rpartition(".")[2] for event in found["events"])

    def jobs(self) -> dict[str, JobDetails]:
        """Every job that Ray was ever given."""
        address = f"http://127.0.0.1:{self.environment['CLIR_DASHBOARD_PORT']}"
        found = JobSubmissionClient(address, headers=authorization()).list_jobs()
        return {job.submission_id: job for job in found if job.submission_id}

    def known(self, family: str) -> dict[str, Entry]:
        """What the registry says of every checkpoint of a family, by its name."""
        found = Registry(self.workspace).entries()
        return {entry.name: entry for entry in found if entry.found.family == family}


def steps(jobs: dict[str, JobDetails]) -> Counter[str]:
    """How many jobs there are of each step."""
    return Counter((job.metadata or {})["step"] for job in jobs.values())


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    """What is found once there is something; fails after that time."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.2)
    return value


def drop(model: Path, place: Path, seed: int) -> Path:
    """The model with slightly other weights appears, whole at once: too little for any query's ranks to tell."""
    aside = place.parent / f".{place.name}"
    shutil.copytree(model, aside)
    torch.manual_seed(seed)
    weights = load_file(aside / "model.safetensors")
    save_file(
        {name: value + 1e-6 * torch.randn_like(value) for name, value in weights.items()}, aside / "model.safetensors"
    )
    return aside.rename(place)


def watch_list(file: Path, corpus: Path, *families: dict[str, Any]) -> Path:
    """A watch list whose audits are those of an alignment run that is evaluated on the corpus."""
    declared = {"version": 1, "audit": {"corpus": f"parquet:{corpus}"}, "families": list(families)}
    file.write_text(yaml.safe_dump(declared), "utf-8")
    return file


def call(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m deployments.service COMMAND`, as the Makefile calls it."""
    arguments = [sys.executable, "-m", "deployments.service", command]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
