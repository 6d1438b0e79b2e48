"""Worker and runs are killed as by a failing machine, at the worst moments: the work is finished once all the same."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray.job_submission import JobStatus
from service_case import Service, drop, steps, until, watch_list

from deployments import process, supervisor
from deployments.parts import POOL

pytestmark = pytest.mark.slow
PATIENCE = 600  # seconds until a run is at its step
OPTIMISER = {"batch": 8, "learning_rate": 1e-7, "epochs": 60}


@dataclass(frozen=True)
class Killed:
    """A run that was killed while Ray was at a step, and the checkpoint that it had been given."""

    run: str
    model: Path

    def jobs(self, service: Service) -> dict[str, Any]:
        """Those that were ever submitted for this checkpoint."""
        found = {name: (job, request(job)) for name, job in service.jobs().items()}
        mine = str(self.model)
        return {name: job for name, (job, asked) in found.items() if mine in (asked.get("model"), asked.get("base"))}


def request(job: Any) -> dict[str, Any]:
    return dict(json.loads(Path(job.metadata["request"]).read_text("utf-8"))["spec"])


def kill(service: Service) -> None:
    """The worker and all that it has started are gone at once, and cannot say anything."""
    family = service.kin("worker")
    assert len(family) > 1, "no run is going on"
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_at(service: Service, one: Killed, step: str) -> bool:
    """Whether Ray is at that step for this checkpoint; of a training, beyond its first state."""
    running = [job for job in one.jobs(service).values() if job.status == JobStatus.RUNNING]
    found = [job for job in running if job.metadata["step"] == step]
    if not found or step != "train":
        return bool(found)
    directory = Path(json.loads(Path(found[0].metadata["request"]).read_text("utf-8"))["run"])
    return bool(list(directory.glob("states/step-*")))


# one after another, all within the two minutes: so the waiting is for all at once
@pytest.fixture(scope="module")
def killed(
    service: Service, tiny_model: Path, demo_part: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Killed]:
    place = tmp_path_factory.mktemp("killed")
    corpus = demo_part(place / "corpus", ("de",), 6)
    asked = f"parquet:{corpus}"
    models = {step: place / step / step for step in ("train", "embed", "rank")}
    source = {"kind": "directory", "path": str(models["embed"].parent), "settle": 0}
    watch = watch_list(place / "watch.yaml", corpus, {"name": "killed", "sources": [source]})
    train = {"base": str(models["train"]), "evaluation": asked, "languages": ["de"], "triples": 24}
    specs: dict[str, tuple[str, dict[str, Any]]] = {
        "train": ("align/finetune", {**train, "loss": "infonce", "head": False, "optimiser": OPTIMISER}),
        "embed": ("nightly/audit", {"watch": str(watch)}),
        "rank": ("audit/checkpoint", {"model": str(models["rank"]), "corpus": asked}),
    }
    found = {}
    for seed, (step, (deployment, spec)) in enumerate(specs.items(), start=100):
        models[step].parent.mkdir()
        drop(tiny_model, models[step], seed)
        one = found[step] = Killed(service.start(deployment, **spec), models[step])
        until(lambda one=one, step=step: is_at(service, one, step), PATIENCE)
        kill(service)
        until(service.is_up, 120)  # by itself
    return found


each = pytest.mark.parametrize("step", ["train", "embed", "rank"])


@each
def test_a_killed_run_counts_as_crashed_and_ends_well(service: Service, killed: dict[str, Killed], step: str) -> None:
    run = service.completed(killed[step].run)
    states = service.states(run["id"])
    crashed = states.index("Crashed")
    assert "Running" in states[:crashed] and states[crashed + 1] == "AwaitingRetry" and states[-1] == "Completed"
    assert run["run_count"] == states.count("Crashed") + 1
    assert {each["state_type"] for each in service.within(run["id"])} <= {"COMPLETED"}


@each
def test_every_step_is_computed_once(service: Service, killed: dict[str, Killed], step: str) -> None:
    one = killed[step]
    service.completed(one.run)
    jobs = one.jobs(service)
    assert steps(jobs) == Counter(["embed", "rank", *(["train"] if step == "train" else [])])
    assert {job.status for job in jobs.values()} == {JobStatus.SUCCEEDED}
    # nobody has put it into a family: it is called by its own name
    entry = service.known("killed" if step == "embed" else step)[step]
    assert [audit.outcome for audit in entry.audits] == ["measured"]
    assert until(lambda: service.events(entry.checkpoint)) == {"audited": 1}


def test_a_training_is_cancelled_though_the_server_was_killed_meanwhile(
    service: Service, tiny_model: Path, demo_part: Callable[..., Path], tmp_path: Path
) -> None:
    model = drop(tiny_model, tmp_path / "cancelled", seed=200)
    corpus = f"parquet:{demo_part(tmp_path / 'corpus', ('de',), 6)}"
    spec = {"base": str(model), "evaluation": corpus, "languages": ["de"], "triples": 24, "loss": "infonce"}
    run = service.start("align/finetune", **spec, head=False, optimiser=OPTIMISER)
    until(lambda: is_at(service, Killed(run, model), "train"), PATIENCE)
    os.kill(service.pid("server"), signal.SIGKILL)
    until(service.is_up, 120)
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    assert service.ask("POST", f"/flow_runs/{run}/set_state", asked)["status"] == "ACCEPT"
    until(lambda: service.states(run)[-1] == "Cancelled", 120)
    mine = Killed(run, model).jobs(service).values()
    assert {job.status for job in mine if job.metadata["step"] == "train"} == {JobStatus.STOPPED}


def test_a_killed_supervisor_is_there_again_with_all_parts(service: Service) -> None:
    running = supervisor.record(service.settings)
    assert running is not None
    before = {part: service.pid(part) for part in ("server", "ray", "worker")}
    (watching,) = (pid for pid in {*service.kin()} - {running.pid} if "supervisor.supervisord" in _command(pid))
    os.kill(watching, signal.SIGKILL)
    until(lambda: service.is_up() and service.pid("worker") != before["worker"], 120)
    assert process.alive(running) and not set(before.values()) & set(service.kin())
    assert "supervisor died at" in service.call("status").stdout


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_service_whose_guard_was_killed_too_says_so_and_starts_again_by_hand(service: Service) -> None:
    running = supervisor.record(service.settings)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: not process.alive(running))
    told = service.call("status")
    assert told.returncode == 1 and told.stdout.count("not watched") == 3
    done = service.call("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert service.is_up() and not process.kin(running.mark)


def test_a_pause_that_an_interrupted_down_left_ends_with_the_next_up(service: Service) -> None:
    pool = f"/work_pools/{POOL}"
    service.ask("PATCH", pool, {"is_paused": True})
    (service.workspace / "service" / "paused").write_text("by `make down`\n", "utf-8")
    assert service.call("up").returncode == 0
    assert service.ask("GET", pool)["is_paused"] is False and not (service.workspace / "service" / "paused").exists()
    # a person's own pause stays
    service.ask("PATCH", pool, {"is_paused": True})
    service.call("up")
    assert service.ask("GET", pool)["is_paused"] is True
    service.ask("PATCH", pool, {"is_paused": False})


def test_what_a_person_took_from_the_server_is_made_again(service: Service) -> None:
    there = {one["name"]: one["id"] for one in service.ask("POST", "/automations/filter", {})}
    service.ask("DELETE", f"/automations/{there['clir: notice a run that died']}")
    done = service.call("up")
    assert "as it was" not in done.stdout
    assert {one["name"] for one in service.ask("POST", "/automations/filter", {})} == set(there)
    assert "as it was" in service.call("up").stdout


def test_a_run_that_nobody_can_cancel_any_more_is_cancelled(
    service: Service, tiny_model: Path, demo_part: Callable[..., Path], tmp_path: Path
) -> None:
    """Its worker dies, and before the next one stands the user presses Cancel."""
    model = drop(tiny_model, tmp_path / "nobodys", seed=300)
    run = service.start("audit/checkpoint", model=str(model), corpus=f"parquet:{demo_part(tmp_path / 'c', ('de',), 6)}")
    until(lambda: service.states(run)[-1] == "Running", PATIENCE)
    kill(service)
    service.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    until(lambda: service.states(run)[-1] == "Cancelled", 240)
