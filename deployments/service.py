"""The service: `python -m deployments.service up`, `down`, `status`, `env`. The Makefile has a target for each.

What runs is known by records in the workspace; `down` ends exactly what they name.
"""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from clir_core.errors import ClirError, SpecError, StoreError
from clir_core.workspace.atomic import write_text
from clir_core.workspace.locks import locked
from deployments import parts, process
from deployments.parts import Part
from deployments.process import Running
from deployments.settings import ROOT, Settings, chosen, complaint, forget, remember
from flows.server import login


def up(settings: Settings) -> None:
    """Start what is missing, deploy everything, and say how to go on. What this call started ends if it fails."""
    secret = login(settings.login)
    server, ray, worker = (make(settings, secret) for make in parts.ALL)
    started: list[Part] = []
    remember(settings)
    try:
        _clear(settings, server)
        _clear(settings, ray)
        for part in (server, ray):
            _start(settings, part, started)
        _await_answer(settings, server)
        _deploy(settings)
        _await_answer(settings, ray)
        _clear(settings, worker)
        _start(settings, worker, started)
        _await_answer(settings, worker)
    except BaseException:
        for part in reversed(started):
            _stop(settings, part)
        if not any(_record(settings, part) for part in (server, ray, worker)):
            forget(settings)
        raise
    _say_how_to_go_on(settings, secret)


def down(settings: Settings) -> None:
    """End the runs, the worker, Ray and the server, in this order, with all that they left behind."""
    secret = login(settings.login)
    server, ray, worker = (make(settings, secret) for make in parts.ALL)
    with _resting(settings, secret):
        _end_runs(settings, worker, secret)
        _stop(settings, worker)
    _stop(settings, ray)
    _stop(settings, server)
    forget(settings)


def status(settings: Settings) -> bool:
    """Say what is up, what is deployed and what ran last; whether all is up."""
    secret = login(settings.login)
    healthy = [_say_health(settings, make(settings, secret)) for make in parts.ALL]
    if healthy[0]:
        os.environ.update(settings.client(secret))
        from deployments.status import lines

        print("\n".join(lines()))
    return all(healthy)


def _say_health(settings: Settings, part: Part) -> bool:
    running = _record(settings, part)
    if running is None:
        _say(part, "not started")
        return False
    known = f"pid {running.pid}, since {running.since:%Y-%m-%d %H:%M} UTC"
    if not process.alive(running):
        _say(part, f"died, {known}; `make up` starts it again. Log: {running.log}")
        return False
    answers = part.answers(running)
    _say(part, f"healthy, {known}, {part.address}" if answers else f"does not answer, {known}; log: {running.log}")
    return answers


def env(settings: Settings) -> None:
    """Lines for a shell's eval: with them `prefect` talks to the service."""
    running = _record(settings, parts.server(settings, login(settings.login)))
    if running is None or not process.alive(running):
        raise SpecError(f"no service runs in {settings.home}; `make up` starts one")
    for name, value in settings.client(login(settings.login)).items():
        print(f"export {name}={shlex.quote(value)}")


def _clear(settings: Settings, part: Part) -> None:
    """Make way for a part that does not run. SpecError where one of its ports belongs to somebody else."""
    running = _record(settings, part)
    if running is not None and process.alive(running):
        return
    if running is not None:
        _stop(settings, part)
    for name, port in part.ports.items():
        if parts.taken(port):
            raise SpecError(
                f"port {port} is taken by another program, so {part.name} cannot listen there; stop that program, or "
                f"choose another port: {name}={port + 100} make up"
            )


def _start(settings: Settings, part: Part, started: list[Part]) -> None:
    """Start the part, unless it runs."""
    running = _record(settings, part)
    if running is not None:
        _say(part, f"runs already, pid {running.pid}")
        return
    running = process.start(part.command(), part.environment, ROOT, settings.state / f"{part.name}.log")
    started.append(part)
    write_text(_path(settings, part), running.model_dump_json())
    _say(part, f"starting, pid {running.pid}")


def _await_answer(settings: Settings, part: Part) -> None:
    """Until the part answers. StoreError with the end of its log where it dies, or where it takes too long."""
    running = _record(settings, part)
    assert running is not None
    begun = time.monotonic()
    while not part.answers(running):
        waited = time.monotonic() - begun
        dead = not process.alive(running)
        if dead or waited > part.patience:
            happened = "died at its start" if dead else f"does not answer after {waited:.0f} s"
            raise StoreError(
                f"{part.name} {happened}; the end of {running.log}:\n{parts.tail(running.log)}\n"
                "mend that and run `make up` again"
            )
        time.sleep(0.5)
    _say(part, f"answers at {part.address}")


def _stop(settings: Settings, part: Part) -> None:
    """End what the record names, if it still is that process, and what it left behind; then forget it."""
    running = _record(settings, part)
    if running is None:
        _say(part, "was not started")
        return
    was_alive = process.alive(running)
    left = process.stop(running, part.grace)
    if part.name == "ray" and parts.scratch(settings).is_symlink():
        shutil.rmtree(parts.scratch(settings).readlink(), ignore_errors=True)
        parts.scratch(settings).unlink()
    _path(settings, part).unlink()
    _say(
        part,
        f"{'stopped' if was_alive else 'had died'}, pid {running.pid}"
        + (f"; ended {left} processes that it left behind" if left else ""),
    )


def _end_runs(settings: Settings, worker: Part, secret: str) -> None:
    """Ask the running flow runs to end, so that they report it: a worker kills them without a word at its own end.

    They are due again at once, here: the automation for crashed runs may not get to it before the server ends.
    """
    running = _record(settings, worker)
    if running is None or not (processes := process.children(running)):
        return
    api, login = f"{settings.ui}/api/flow_runs", parts.basic(secret)
    going = {"type": {"any_": ["PENDING", "RUNNING"]}}
    asked = {"flow_runs": {"state": going}, "work_pools": {"name": {"any_": [parts.POOL]}}}
    runs = [run["id"] for run in parts.call(f"{api}/filter", login, asked, "POST") or []]
    _say(worker, f"ending {len(processes)} flow runs; they start again after the next `make up`")
    process.end(processes, worker.grace)
    due = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Ended by `make down`"}
    for run in runs:
        if (parts.call(f"{api}/{run}", login) or {}).get("state_type") == "CRASHED":
            parts.call(f"{api}/{run}/set_state", login, {"state": due}, "POST")


@contextmanager
def _resting(settings: Settings, secret: str) -> Iterator[None]:
    """Keep the work pool paused meanwhile, so that nothing starts; one that is paused already stays so."""
    pool, login = f"{settings.ui}/api/work_pools/{parts.POOL}", parts.basic(secret)
    works = not (parts.call(pool, login) or {}).get("is_paused", True)
    if works:
        parts.call(pool, login, {"is_paused": True}, "PATCH")
    try:
        yield
    finally:
        if works:
            parts.call(pool, login, {"is_paused": False}, "PATCH")


def _deploy(settings: Settings) -> None:
    """Work pool, deployments and automations, through the server that was just started."""
    os.environ.update(settings.client(login(settings.login)))
    from deployments.automations import make_automations
    from deployments.deploy import deploy, make_pool

    make_pool()
    print(f"{'deploy':8} deploying from deployments/prefect.yaml ...", flush=True)
    print(f"{'deploy':8} {', '.join(deploy(settings.state / 'deploy.log'))}", flush=True)
    for name, on in make_automations(settings).items():
        print(f"{'deploy':8} automation {name!r}{'' if on else ' is off: see docs/operations.md'}", flush=True)


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


def _path(settings: Settings, part: Part) -> Path:
    return settings.state / f"{part.name}.json"


def _record(settings: Settings, part: Part) -> Running | None:
    path = _path(settings, part)
    try:
        return Running.model_validate_json(path.read_text("utf-8")) if path.exists() else None
    except ValidationError as error:
        raise StoreError(
            f"{path}: not a record of a process ({error.error_count()} fields are wrong); look whether {part.name} "
            "still runs, end it, and remove the file"
        ) from None


def _say(part: Part, text: str) -> None:
    print(f"{part.name:8} {text}", flush=True)


def main() -> None:
    """Exit code 1 with one message where the user can mend what is wrong, and where `status` finds something down."""
    commands: dict[str, Callable[[Settings], bool | None]] = {"up": up, "down": down, "status": status, "env": env}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands or len(sys.argv) > 2:
        sys.exit(f"usage: python -m deployments.service {'|'.join(commands)}")
    command = sys.argv[1]
    try:
        settings = chosen(strict=command == "up")
        with locked(settings.state / "lock"):
            healthy = commands[command](settings)
    except ValidationError as error:
        sys.exit("\n".join(f"service: {line}" for line in complaint(error).splitlines()))
    except ClirError as error:
        sys.exit(f"service: {error}")
    sys.exit(0 if healthy in (None, True) else 1)


if __name__ == "__main__":
    main()
