"""The three processes of the service, Prefect's server, the standing Ray head, the worker: how each starts, answers."""

import json
import shutil
import socket
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

from clir_core.jobs.scratch import inside, python_for
from clir_core.jobs.token import keep_token, ray_token
from deployments.scratch import scratch
from deployments.settings import Settings

POOL = "clir"
# two runs at a time: each has processes of its own, and SQLite one writer
AT_ONCE = 2


@dataclass(frozen=True)
class Part:
    """One process: its command, the ports it takes (by the setting that moves them), and whether it answers."""

    name: str
    address: str
    command: Callable[[], tuple[str, ...]]
    environment: Mapping[str, str]
    answers: Callable[[datetime], bool]  # since it was started at that time
    ports: Mapping[str, int] = field(default_factory=dict)
    can_start: Callable[[], bool] = lambda: True  # whether what it needs is there
    patience: float = 90  # seconds until it answers
    grace: float = 30  # seconds to end by itself


def server(settings: Settings, secret: str) -> Part:
    """Prefect's API, UI and services."""
    return Part(
        name="server",
        address=settings.ui,
        command=lambda: (
            *(sys.executable, "-m", "deployments.server"),
            *("--host", "127.0.0.1", "--port", str(settings.ui_port)),
        ),
        environment=settings.server(secret),
        answers=lambda _: call(f"{settings.ui}/api/admin/version", basic(secret)) is not None,
        ports={"CLIR_UI_PORT": settings.ui_port},
        patience=180,  # the first start writes the database's schema
    )


def ray(settings: Settings, _: str) -> Part:
    """A Ray head that stays, on this machine alone, for the jobs of the flows."""
    return Part(
        name="ray",
        address=settings.dashboard,
        command=lambda: _ray_command(settings),
        environment=settings.ray(),
        answers=lambda _: call(f"{settings.dashboard}/api/jobs/", f"Bearer {ray_token()}") is not None,
        ports={"CLIR_RAY_PORT": settings.ray_port, "CLIR_DASHBOARD_PORT": settings.dashboard_port},
        grace=10,  # after a training it would wait half a minute for actors that Ray Train leaves behind
    )


def worker(settings: Settings, secret: str) -> Part:
    """What takes runs from the work pool and starts a process for each."""
    prefect = (sys.executable, "-m", "deployments.worker", "--type", "process")
    pool = f"{settings.ui}/api/work_pools/{POOL}"
    return Part(
        name="worker",
        address=f"work pool {POOL}",
        command=lambda: (*prefect, "--pool", POOL, "--name", POOL, "--limit", str(AT_ONCE)),
        environment=settings.service(secret),
        answers=lambda since: _polls(settings, secret, since),
        can_start=lambda: call(pool, basic(secret)) is not None,
    )


_MAKE = {"server": server, "ray": ray, "worker": worker}


def make(name: str, settings: Settings, secret: str) -> Part:
    """The part of this name."""
    return _MAKE[name](settings, secret)


def make_all(settings: Settings, secret: str) -> tuple[Part, ...]:
    """All parts, in the order of their start."""
    return tuple(make(name, settings, secret) for name in _MAKE)


def taken(port: int) -> bool:
    """Whether somebody listens at this port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log; nothing of one that is not there."""
    if not log.exists():
        return ""
    return "\n".join(f"    {line}" for line in log.read_text("utf-8", errors="replace").splitlines()[-lines:])


def _ray_command(settings: Settings) -> tuple[str, ...]:
    keep_token()
    place = scratch(settings)
    _forget_sessions(inside(place))
    options = {
        "node-ip-address": "127.0.0.1",
        "port": settings.ray_port,
        "include-dashboard": "true",  # asked for, Ray does not go on without it where its port is taken
        "dashboard-host": "127.0.0.1",
        "dashboard-port": settings.dashboard_port,
        # free ones: the defaults are taken where another Ray runs on this machine
        "dashboard-agent-listen-port": 0,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "ray-client-server-port": _free_port(),
        "temp-dir": inside(place),
    }
    head = (python_for(place), "-m", "clir_core.jobs.node", "--head", "--disable-usage-stats")
    return (*head, *(f"--{name}={value}" for name, value in options.items()))


def _forget_sessions(place: Path) -> None:
    """Remove what earlier Rays left, but the last one's logs."""
    left = sorted((path for path in place.glob("session_*") if not path.is_symlink()), key=lambda path: path.name)
    for session in left[:-1]:
        shutil.rmtree(session, ignore_errors=True)


def basic(secret: str) -> str:
    return f"Basic {b64encode(secret.encode()).decode()}"


def _polls(settings: Settings, secret: str, since: datetime) -> bool:
    """Whether the worker has reported since it was started and has not been given up."""
    found = call(f"{settings.ui}/api/work_pools/{POOL}/workers/filter", basic(secret), {}, "POST")
    return any(
        each["name"] == POOL
        and each["status"] == "ONLINE"
        and datetime.fromisoformat(each["last_heartbeat_time"]) >= since
        for each in found or []
    )


def call(url: str, authorization: str, body: Any = None, method: str = "GET") -> Any:
    """The JSON that the address answers; None where it does not answer, refuses, or has nothing to say."""
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    # straight to the loopback address: a proxy of the environment is not for it
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError, HTTPException):
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
