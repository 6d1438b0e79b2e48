"""Heavy steps as jobs of a standing cluster: submitted once, followed by every run that waits for them.

A job outlives the run that asked for it; whoever asks again for the same finds it by its name, and follows.
"""

import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient
from ray.util.state import StateApiClient
from ray.util.state.common import RAY_MAX_LIMIT_FROM_API_SERVER, ListApiOptions, StateResource
from ray.util.state.exception import RayStateApiException

from clir_core import errors, telemetry
from clir_core.errors import SpecError, first_line
from clir_core.jobs.cluster import knock
from clir_core.jobs.entry import MARK
from clir_core.jobs.requests import Request
from clir_core.jobs.token import authorization
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.progress import Bars, Progress

SECONDS_BETWEEN = 0.5
PATIENCE_SECONDS = 60.0  # a head that died is there again in 20
AS_HERE = ("HF_HUB_OFFLINE", "HF_ENDPOINT")
T = TypeVar("T")
_logger = logging.getLogger(__name__)


class LostJobError(RayError):
    """A job that ended, or went away, without saying why: trying again may help."""


def has_gpu(address: str) -> bool:
    """Whether the cluster behind this dashboard has a GPU."""
    _connect(address)
    asked = ListApiOptions(limit=RAY_MAX_LIMIT_FROM_API_SERVER, filters=[("state", "=", "ALIVE")])
    try:
        nodes = StateApiClient(address, headers=authorization()).list(
            StateResource.NODES, asked, raise_on_missing_output=False
        )
    except (RayStateApiException, OSError) as error:
        raise _no_answer(address, error) from error
    return any(node.resources_total.get("GPU", 0) >= 1 for node in nodes)


def do_by_job(
    address: str, request: Request, is_done: Callable[[], bool], bars: Bars, say: Callable[[str], None]
) -> None:
    """Have a step done by a job of the cluster behind this dashboard, the one that is at it or a new one.

    Follows its log from the start: progress goes to `bars`, everything else to `say`. Interrupted, it stops the
    job; killed, it leaves it running. Errors: the step's own, as if it ran here; SpecError where no cluster answers,
    or where the step `is_done` on the cluster alone; LostJobError, a RayError, for a job that was lost or stopped.
    """
    client = _connect(address)
    job, is_there = _name(client, request)
    try:
        if is_there:
            say(f"job {job}: under way on {address}; followed from its start")
        else:
            say(f"job {job}: submitted to {address}")
            _submit(client, job, request)
        ended, error = _follow(client, job, bars, say)
    except BaseException:
        with suppress(OSError, RuntimeError, RayError):
            client.stop_job(job)
        raise
    if error:
        raise error
    if ended.status != JobStatus.SUCCEEDED:
        raise LostJobError(f"job {job} on {address} was lost ({ended.status.value}): {_last_line(ended.message)}")
    if not is_done():
        raise SpecError(
            f"ray_jobs {address!r}: job {job} is done, and nothing of it is in {request.spec.workspace.resolve()}; "
            "put the workspace on a volume that cluster and flows see under the same path"
        )


def _connect(address: str) -> JobSubmissionClient:
    try:
        if not address.startswith(("http://", "https://")):
            raise ValueError("it does not start with http://")
        _knock_patiently(address)
        client = JobSubmissionClient(address, headers=authorization())
        if client.get_address().rstrip("/") != address.rstrip("/"):
            raise ValueError(f"RAY_API_SERVER_ADDRESS or RAY_ADDRESS, which go first, say {client.get_address()}")
        return client
    except (OSError, RuntimeError, ValueError, KeyError, RayError) as error:
        raise _no_answer(address, error) from error


def _knock_patiently(address: str) -> None:
    """OSError where nothing listens, after a while in which a head that died may start anew."""
    until = time.monotonic() + PATIENCE_SECONDS
    waits = False
    while True:
        try:
            return knock(address)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            if not waits:
                _logger.warning("no Ray cluster takes jobs at %s; waiting %g s for one", address, PATIENCE_SECONDS)
            waits = True
        time.sleep(SECONDS_BETWEEN)


def _no_answer(address: str, error: Exception) -> SpecError:
    return SpecError(
        f"ray_jobs {address!r}: no Ray cluster takes jobs there ({first_line(error)}); start it, give its dashboard's "
        "address, such as http://127.0.0.1:8265, or leave ray_jobs and CLIR_RAY_JOBS empty to compute here"
    )


def _name(client: JobSubmissionClient, request: Request) -> tuple[str, bool]:
    """What the request's job is called, and whether it is under way."""
    # a name is used once: Ray does not support that a job is deleted and another submitted in its name
    for job in (request.job if n == 1 else f"{request.job}-{n}" for n in count(1)):
        found = _find(client, job)
        if found is None or not found.status.is_terminal():
            return job, found is not None
    raise AssertionError("there is always another number")


def _submit(client: JobSubmissionClient, job: str, request: Request) -> None:
    file = layout.job(request.spec.workspace, job).resolve()
    write_text(file, request.model_dump_json(indent=1))
    here = {name: os.environ[name] for name in AS_HERE if name in os.environ}
    try:
        client.submit_job(
            # Ray holds a job's own process to one thread, because it reserves no processor
            entrypoint=shlex.join(
                ["env", "-u", "OMP_NUM_THREADS", sys.executable, "-m", "clir_core.jobs.entry", request.step, str(file)]
            ),
            submission_id=job,
            metadata={"step": request.step, "request": str(file)},
            runtime_env={"env_vars": {**telemetry.OFF, **here}},
        )
    except RuntimeError as error:
        # unless another run was faster
        if _find(client, job) is None:
            raise LostJobError(f"job {job}: was not taken ({_last_line(str(error))})") from error


def _find(client: JobSubmissionClient, job: str) -> JobDetails | None:
    return _asked_again(job, lambda: client.get_job_info(job))


def _follow(
    client: JobSubmissionClient, job: str, bars: Bars, say: Callable[[str], None]
) -> tuple[JobDetails, Exception | None]:
    """What became of the job, and the error that its step ended with."""
    begun: dict[str, Progress] = {}
    read, error = 0, None
    while True:
        # its state first: when that is final, the log is whole
        details = _find(client, job)
        log = _asked_again(job, lambda: client.get_job_logs(job))
        if details is None or log is None:
            raise LostJobError(f"job {job}: {client.get_address()} does not know it any more")
        ended = details.status.is_terminal()
        whole = len(log) if ended else log.rfind("\n") + 1
        for line in log[read:whole].splitlines():
            text, mark, event = line.partition(MARK)
            if text.strip():
                say(text)
            found = json.loads(event) if mark else {}
            if "begun" in found:
                begun[found["begun"]] = bars(found["begun"])
            if "progress" in found:
                name, done, total = found["progress"]
                begun[name](done, total)
            error = _error(job, found) or error
        read = max(read, whole)
        if ended:
            return details, error
        time.sleep(SECONDS_BETWEEN)


def _error(job: str, event: dict[str, Any]) -> Exception | None:
    if "error" in event:
        kind, arguments = event["error"]
        return getattr(errors, kind)(*arguments)
    if "lost" in event:
        return LostJobError(f"job {job}: {event['lost']}")
    return RuntimeError(f"job {job}: {event['bug']}; the traceback is in its log") if "bug" in event else None


def _asked_again(job: str, ask: Callable[[], T]) -> T | None:
    """The answer, be it after a while in which none comes: a dashboard may start anew beside its jobs.

    None where the cluster does not know the job: it is another one than before.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except (OSError, RuntimeError) as error:
            if "status code 404" in str(error):
                return None
            if time.monotonic() > until:
                raise LostJobError(
                    f"job {job}: no word of it for {PATIENCE_SECONDS:g} s ({first_line(error)})"
                ) from error
        time.sleep(SECONDS_BETWEEN)


def _last_line(text: str | None) -> str:
    return ((text or "").strip().splitlines() or ["no reason given"])[-1]
