"""The service: `python -m deployments.service up`, `down`, `status`, `env`. The Makefile has a target for each.

A supervisor keeps its parts up (`deployments.supervisor`); `down` ends exactly what `up` started.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pydantic import ValidationError

from clir_core.errors import ClirError, SpecError, StoreError
from clir_core.workspace import layout, processes
from clir_core.workspace.atomic import write_text
from clir_core.workspace.deaths import deaths
from clir_core.workspace.locks import locked
from clir_core.workspace.private import OTHERS, close
from deployments import deployed, parts, process, supervisor
from deployments.environment import drop_the_rest, exports
from deployments.parts import Part
from deployments.scratch import has_scratch
from deployments.settings import Settings, chosen, complaint, forget, remember
from flows.server import check_disk, login

DEATHS_SHOWN = 5


def up(settings: Settings) -> None:
    """Start what is missing, deploy what changed, and say how to go on. What this call started ends if it fails."""
    stands = _stands(settings)
    if not stands:
        check_disk(layout.prefect(settings.home))
    secret = login(settings.login)
    server, ray, worker = everything = parts.make_all(settings, secret)
    remember(settings)
    try:
        if stands:
            supervisor.start_missing(settings)
        else:
            _make_way(settings, everything)
            supervisor.start(settings, everything)
        _await_answer(settings, server)
        _let_work(settings, secret)
        _deploy(settings, secret)
        for part in (ray, worker):
            _await_answer(settings, part)
    except BaseException:
        if not stands:
            supervisor.stop(settings)
            forget(settings)
        raise
    _say_how_to_go_on(settings, secret)


def down(settings: Settings) -> None:
    """End the runs, then the worker, Ray and the server, in this order, with all that they left behind."""
    secret = login(settings.login)
    everything = parts.make_all(settings, secret)
    known = supervisor.watched(settings)
    with _resting(settings, secret):
        _end_runs(settings, everything[-1], secret)
        supervisor.stop_part(settings, everything[-1])
    left = supervisor.stop(settings)
    for part in reversed(everything):
        found = known.get(part.name)
        _say(part.name, f"stopped, pid {found.pid}" if found and found.is_up else "was not up")
    if left:
        _say(supervisor.NAME, f"ended {left} processes that were left behind")
    forget(settings)


def status(settings: Settings) -> bool:
    """Say what is up, what died, what is deployed and what ran last; whether all is up."""
    secret = login(settings.login)
    healthy = [_say_health(settings, part) for part in parts.make_all(settings, secret)]
    for death in list(deaths(settings.home))[-DEATHS_SHOWN:]:
        print(death)
    if healthy[0]:
        from deployments.status import lines

        print("\n".join(lines(settings, secret)))
    return all(healthy)


def _say_health(settings: Settings, part: Part) -> bool:
    if not _stands(settings):
        gone = supervisor.record(settings) is not None
        _say(part.name, "not watched: the supervisor died; `make up` starts it again" if gone else "not started")
        return False
    if not has_scratch(settings):
        _say(part.name, "out of reach: its folder of sockets was cleared away; `make down`, then `make up`")
        return False
    found = supervisor.watched(settings).get(part.name)
    log = settings.state / f"{part.name}.log"
    if found is None or not found.is_up:
        _say(part.name, f"is down ({found.state.lower() if found else 'unknown'}), started again by itself; log: {log}")
        return False
    known = f"pid {found.pid}, since {found.since:%Y-%m-%d %H:%M} UTC"
    answers = part.answers(found.since)
    _say(part.name, f"healthy, {known}, {part.address}" if answers else f"does not answer, {known}; log: {log}")
    return answers


def env(settings: Settings) -> None:
    """Lines for a shell's eval: with them `prefect` is this project's, and talks to the service."""
    if not _stands(settings):
        raise SpecError(f"no service runs in {settings.home}; `make up` starts one")
    print("\n".join(exports(settings.client(login(settings.login)), Path(sys.executable).parent)))


def _stands(settings: Settings) -> bool:
    """Whether the supervisor runs."""
    running = supervisor.record(settings)
    return running is not None and process.alive(running)


def _make_way(settings: Settings, everything: Sequence[Part]) -> None:
    """End what a supervisor that died left behind. SpecError where a port belongs to somebody else."""
    if supervisor.stop(settings):
        _say(supervisor.NAME, "had died; ended what it left behind")
    for part in everything:
        for name, port in part.ports.items():
            if parts.taken(port):
                raise SpecError(
                    f"port {port} is taken by another program, so {part.name} cannot listen there; stop that program, "
                    f"or choose another port: {name}={port + 100} make up"
                )


def _await_answer(settings: Settings, part: Part) -> None:
    """Until the part answers. StoreError with the end of its log where it dies, or where it takes too long."""
    begun, pids = time.monotonic(), set[int]()
    while True:
        found = supervisor.watched(settings).get(part.name)
        pids |= {found.pid} if found and found.pid else set()
        if found and found.state == "RUNNING" and part.answers(found.since):
            _say(part.name, f"answers at {part.address}, pid {found.pid}")
            return
        waited = time.monotonic() - begun
        dead = len(pids) > 1 or (found.state in ("BACKOFF", "FATAL") if found else not _stands(settings))
        if dead or waited > part.patience:
            happened = "died at its start" if dead else f"does not answer after {waited:.0f} s"
            log = settings.state / (f"{part.name}.log" if found else f"{supervisor.NAME}.out")
            raise StoreError(
                f"{part.name} {happened}; the end of {log}:\n{parts.tail(log)}\nmend that and run `make up` again"
            )
        time.sleep(0.5)


def _end_runs(settings: Settings, worker: Part, secret: str) -> None:
    """Ask the running flow runs to end, so that they report it: a worker kills them without a word at its own end.

    They are due again at once, here: the automation for crashed runs may not get to it before the server ends.
    """
    running, known = supervisor.record(settings), supervisor.watched(settings).get(worker.name)
    family = process.kin(running.mark, worker.name) if running else {}
    runs = processes.topmost({pid: ticks for pid, ticks in family.items() if not known or pid != known.pid})
    if not runs:
        return
    api, login = f"{settings.ui}/api/flow_runs", parts.basic(secret)
    going = {"type": {"any_": ["PENDING", "RUNNING"]}}
    asked = {"flow_runs": {"state": going}, "work_pools": {"name": {"any_": [parts.POOL]}}}
    ids = [run["id"] for run in parts.call(f"{api}/filter", login, asked, "POST") or []]
    _say(worker.name, f"ending {len(runs)} flow runs; they start again after the next `make up`")
    processes.end(runs, worker.grace)
    due = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Ended by `make down`"}
    for run in ids:
        if (parts.call(f"{api}/{run}", login) or {}).get("state_type") == "CRASHED":
            parts.call(f"{api}/{run}/set_state", login, {"state": due}, "POST")


@contextmanager
def _resting(settings: Settings, secret: str) -> Iterator[None]:
    """Keep the work pool paused meanwhile, so that nothing starts; one that is paused already stays so."""
    pool = parts.call(_pool(settings), parts.basic(secret)) or {}
    if not pool.get("is_paused", True):
        # first the note: whatever ends this command, the next `up` finds it
        write_text(_paused(settings), "by `make down`\n")
        parts.call(_pool(settings), parts.basic(secret), {"is_paused": True}, "PATCH")
    try:
        yield
    finally:
        _let_work(settings, secret)


def _let_work(settings: Settings, secret: str) -> None:
    """End the pause of a `down`, also of one that was interrupted."""
    if not _paused(settings).exists():
        return
    parts.call(_pool(settings), parts.basic(secret), {"is_paused": False}, "PATCH")
    if not (parts.call(_pool(settings), parts.basic(secret)) or {}).get("is_paused", True):
        _paused(settings).unlink()


def _pool(settings: Settings) -> str:
    return f"{settings.ui}/api/work_pools/{parts.POOL}"


def _paused(settings: Settings) -> Path:
    return settings.state / "paused"


def _deploy(settings: Settings, secret: str) -> None:
    """Work pool, deployments and automations, through the server that answers; unless all is as it was."""
    state = deployed.state_of(settings)
    if deployed.is_there(settings, secret, state):
        _say("deploy", "as it was")
        return
    os.environ.update(settings.client(secret))
    from deployments.automations import make_automations
    from deployments.deploy import deploy, make_pool

    make_pool()
    _say("deploy", "deploying from deployments/prefect.yaml ...")
    _say("deploy", ", ".join(deploy(settings.state / "deploy.log")))
    for name, on in make_automations(settings).items():
        _say("deploy", f"automation {name!r}{'' if on else ' is off: see docs/operations.md'}")
    deployed.remember(settings, secret, state)


def _say_how_to_go_on(settings: Settings, secret: str) -> None:
    print(
        f"""
Prefect      {settings.ui}
  log in     {secret}   (kept in {settings.login})
Ray          {settings.dashboard}   (asks for the token in ~/.ray/auth_token)
Logs         {settings.state}

Next         make finetune                     train the bundled model on the demo corpus, and watch
             eval "$(make -s env)"             then: prefect deployment run nightly/audit
             make status, make down"""
    )


def _say(name: str, text: str) -> None:
    print(f"{name:10} {text}", flush=True)


def main() -> None:
    """Exit code 1 with one message where the user can mend what is wrong, and where `status` finds something down."""
    commands: dict[str, Callable[[Settings], bool | None]] = {"up": up, "down": down, "status": status, "env": env}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands or len(sys.argv) > 2:
        sys.exit(f"usage: python -m deployments.service {'|'.join(commands)}")
    command = sys.argv[1]
    try:
        drop_the_rest()
        settings = chosen(strict=command == "up")
        os.umask(OTHERS)  # what the service's processes write is this user's alone
        close(settings.home)
        # who only asks does not wait
        with locked(settings.state / "lock") if command in ("up", "down") else nullcontext():
            healthy = commands[command](settings)
    except ValidationError as error:
        sys.exit("\n".join(f"service: {line}" for line in complaint(error).splitlines()))
    except ClirError as error:
        sys.exit(f"service: {error}")
    sys.exit(0 if healthy in (None, True) else 1)


if __name__ == "__main__":
    main()
