"""Any process of the service is killed (-9) in any phase of a run: it is back by itself, and the run is done once."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from ray.job_submission import JobDetails, JobStatus
from scratch import ENDED, Scratch

PHASES = ("taken", "start", "embed", "rank", "report", "train")
SECONDS_TO_BE_BACK = 120
SECONDS_TO_NOTICE = 3  # until then a part may answer that is about to end
SECONDS_TO_END = 600
SECONDS_TO_REST = 30  # within them the worker starts a crashed run again
OPTIMISER = {"batch": 8, "learning_rate": 1e-7, "epochs": 12}


class Kill(NamedTuple):
    """One fault, and what came of it."""

    what: str
    phase: str
    hit: int  # processes that were killed, while the run was under way
    back: float | None  # seconds until all parts answered again
    ended: str  # the run's last state
    lost: str
    twice: str

    @property
    def survived(self) -> bool:
        """Whether nothing was lost or done twice, and all was back in time."""
        in_time = self.back is not None and self.back <= SECONDS_TO_BE_BACK
        return self.hit > 0 and in_time and self.ended == "Completed" and not self.lost and not self.twice


def _named(scratch: Scratch, part: str, text: str) -> list[int]:
    """Processes of a part with this in their command line."""
    return [pid for pid in scratch.service.kin(part) if text in _command(pid)]


# whatever the service consists of, by what finds its processes
VICTIMS: Mapping[str, Callable[[Scratch], list[int]]] = {
    "supervisor": lambda scratch: [pid for pid in scratch.service.kin() if _is_supervisor(pid)],
    "worker": lambda scratch: [scratch.service.pid("worker")],
    "flow run": lambda scratch: _named(scratch, "worker", "prefect.engine"),
    "Prefect's server": lambda scratch: [scratch.service.pid("server")],
    "Ray's head": lambda scratch: [scratch.service.pid("ray")],
    "raylet": lambda scratch: _named(scratch, "ray", "raylet/raylet"),
    "GCS": lambda scratch: _named(scratch, "ray", "gcs_server"),
    "dashboard": lambda scratch: _named(scratch, "ray", "dashboard/dashboard.py"),
    "driver of a job": lambda scratch: _named(scratch, "ray", "clir_core.jobs.entry"),
    "actors and tasks": lambda scratch: _named(scratch, "ray", "ray::"),
}


def plan(seed: int, kills: int) -> list[tuple[str, str]]:
    """Which victim in which phase: every pair before any again, in an order of the seed's."""
    pairs = [
        (victim, phase) for victim in VICTIMS for phase in PHASES if victim != "driver of a job" or _has_job(phase)
    ]
    drawn = random.Random(seed)
    rounds = [drawn.sample(pairs, len(pairs)) for _ in range(kills // len(pairs) + 1)]
    return [pair for one in rounds for pair in one][:kills]


def run(scratch: Scratch, seed: int, done: int, kills: int) -> Iterator[Kill]:
    """Do what is left of the plan, one after another."""
    for at, (victim, phase) in list(enumerate(plan(seed, kills)))[done:]:
        yield _one(scratch, victim, phase, 10_000 * (seed + 1) + at)


def _one(scratch: Scratch, victim: str, phase: str, seed: int) -> Kill:
    model = scratch.copy(seed)
    started = _align(scratch, model) if phase == "train" else scratch.audit(model)
    if not _await(lambda: _is_at(scratch, started, model.name, phase), SECONDS_TO_END):
        return Kill(victim, phase, 0, None, "never got there", "", "")
    hit = 0
    for pid in VICTIMS[victim](scratch) if state_of(scratch, started)["type"] not in ENDED else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            hit += 1
    begun = time.monotonic()
    time.sleep(SECONDS_TO_NOTICE)
    back = time.monotonic() - begun if _await(scratch.service.is_up, SECONDS_TO_BE_BACK) else None
    _await(lambda: state_of(scratch, started)["type"] in ENDED and rests(scratch, started), SECONDS_TO_END)
    ended = str(state_of(scratch, started)["name"])
    lost, twice = scratch.lost(model.name), scratch.twice(model.name)
    if phase == "train":
        lost = lost or scratch.lost_training(model.name)
    return Kill(victim, phase, hit, back, ended, lost, twice)


def _align(scratch: Scratch, model: object) -> str:
    asked = {"base": str(model), "evaluation": scratch.corpus, "languages": ["de"], "triples": 24}
    return scratch.service.start("align/finetune", **asked, loss="infonce", head=False, optimiser=OPTIMISER)


def _is_at(scratch: Scratch, run: str, name: str, phase: str) -> bool:
    """Whether the run is in this phase, or past it."""
    state = state_of(scratch, run)
    if state["type"] in ENDED:
        return True
    if phase in ("taken", "start"):
        return state["type"] == "RUNNING" or (state["type"] == "PENDING" and phase == "taken")
    with suppress(OSError, RuntimeError):
        mine = [job.metadata["step"] for job in scratch.service.jobs().values() if _asks(job, name, phase)]
        return ("rank" if phase == "report" else phase) in mine
    return False


def _asks(job: JobDetails, name: str, phase: str) -> bool:
    """Whether a job is at work for this checkpoint; before the report, whether it has ended."""
    wanted = JobStatus.SUCCEEDED if phase == "report" else JobStatus.RUNNING
    return job.status == wanted and name in Path(job.metadata["request"]).read_text("utf-8")


def state_of(scratch: Scratch, run: str) -> dict[str, str]:
    """The run's, asked again while the server is away."""
    while True:
        with suppress(httpx.HTTPError):
            return dict(scratch.service.ask("GET", f"/flow_runs/{run}")["state"])
        time.sleep(0.5)


def rests(scratch: Scratch, run: str) -> bool:
    """A crash is an end only where nothing starts the run again."""
    if state_of(scratch, run)["type"] != "CRASHED":
        return True
    time.sleep(SECONDS_TO_REST)
    return state_of(scratch, run)["type"] == "CRASHED"


def _has_job(phase: str) -> bool:
    return phase in ("embed", "rank", "train")


def _is_supervisor(pid: int) -> bool:
    command = _command(pid)
    return "supervisor.supervisord" in command and not command.startswith("sh ")  # its guard


def _command(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        return file.read().replace("\0", " ")
    return ""


def _await(found: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True
