"""What starts the parts of the service, and again when they end: supervisord (supervisord.org), one a workspace.

A shell starts supervisord again where that is killed itself; the parts that it had are then started anew as well.
"""

import contextlib
import os
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from supervisor.xmlrpc import SupervisorTransport

from clir_core.errors import StoreError
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from deployments import process
from deployments.parts import Part
from deployments.process import Running
from deployments.scratch import has_scratch, remove_scratch, scratch
from deployments.settings import ROOT, Settings

NAME = "supervisor"
PYTHON = "CLIR_SERVICE_PYTHON"
TIME_ZONE = "CLIR_SERVICE_TZ"  # the parts'; supervisord writes its log in UTC, where no hour comes twice
LOG_BYTES, OLD_LOGS = "20MB", "3"  # of each part
SECONDS_TO_STAND = 5  # a part that ends sooner has not started; it is tried again after 1, 2, 3 ... seconds
TRIES = 1_000_000  # for as long as it takes: a database may be away for an hour
GRACE = 75  # for all parts, one after another, to end by themselves
PATIENCE = 90  # seconds for an answer of supervisord's
_BAD_CONFIGURATION = 2  # supervisord's exit code
_GUARD = f"""
trap 'kill -TERM $child; wait $child; exit' TERM
while :; do
    "${PYTHON}" -m supervisor.supervisord --nodaemon --configuration "$1" & child=$!
    wait $child; code=$?
    [ $code -eq {_BAD_CONFIGURATION} ] && exit $code
    echo "$(date '+%Y-%m-%d %H:%M:%S'),000 WARN exited: {NAME} (exit status $code; not expected)" >> "$2"
    sleep 1
done
"""


class Watched(NamedTuple):
    """A part, as supervisord knows it."""

    state: str  # RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL
    pid: int
    since: datetime

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.state in ("RUNNING", "STARTING")


def record(settings: Settings) -> Running | None:
    """What `start` started; None where nothing was, or all was stopped."""
    path = _record(settings)
    try:
        return Running.model_validate_json(path.read_bytes()) if path.exists() else None
    except ValidationError as error:
        raise StoreError(
            f"{path}: not a record of a process ({error.error_count()} fields are wrong); look whether {NAME} still "
            "runs, end it, and remove the file"
        ) from None


def start(settings: Settings, parts: Sequence[Part]) -> Running:
    """Start supervisord, which starts the parts."""
    configuration = scratch(settings) / f"{NAME}.conf"
    _state(settings).unlink(missing_ok=True)
    _state(settings).symlink_to(settings.state)
    write_text(configuration, _configuration(settings, parts))
    command = ("sh", "-c", _GUARD, NAME, str(configuration), str(layout.supervisor_log(settings.home)))
    # nobody but the command that deploys needs the notification's address
    environment = {name: value for name, value in os.environ.items() if name != "CLIR_NOTIFY_URL"}
    environment |= {PYTHON: sys.executable, "TZ": "UTC", TIME_ZONE: os.environ.get("TZ", "")}
    running = process.start(command, environment, ROOT, settings.state / f"{NAME}.out")
    try:
        write_text(_record(settings), running.model_dump_json())
    except BaseException:
        process.stop(running, GRACE)  # nobody would find it again
        raise
    return running


def own_time_zone() -> None:
    """For a part: the time zone of who started the service, in place of supervisord's."""
    zone = os.environ.pop(TIME_ZONE, None)
    if zone:
        os.environ["TZ"] = zone
    elif zone is not None:
        os.environ.pop("TZ", None)
    time.tzset()


def start_missing(settings: Settings) -> None:
    """Start the parts that do not run; supervisord has to."""
    for name, found in watched(settings).items():
        if not found.is_up and found.state != "BACKOFF":  # which is tried again by itself
            _call(settings).startProcess(name, False)


def stop_part(settings: Settings, part: Part) -> None:
    """End one part until it is started by hand; where supervisord does not answer, nothing is."""
    with contextlib.suppress(OSError, xmlrpc.client.Error):
        _call(settings).stopProcess(part.name)


def stop(settings: Settings) -> int | None:
    """End the parts, supervisord, and all that they left behind, which is counted. None where nothing was started."""
    running = record(settings)
    if running is None:
        return None
    left = process.stop(running, GRACE)
    remove_scratch(settings)
    _record(settings).unlink()
    return left


def watched(settings: Settings) -> dict[str, Watched]:
    """Every part by its name; none where supervisord does not answer, or was not started."""
    if record(settings) is None or not has_scratch(settings):
        return {}
    try:
        found = _call(settings).getAllProcessInfo()
    except (OSError, xmlrpc.client.Error):
        return {}
    return {
        one["name"]: Watched(one["statename"], one["pid"], datetime.fromtimestamp(one["start"], UTC)) for one in found
    }


def _configuration(settings: Settings, parts: Sequence[Part]) -> str:
    """Without a path of the project's, which may have any character in it, and here some begin a comment."""
    state = _state(settings)
    sections: dict[str, dict[str, object]] = {
        "supervisord": {
            "logfile": f"{state}/{layout.supervisor_log(settings.home).name}",
            "logfile_maxbytes": "1MB",
            "logfile_backups": OLD_LOGS,
            "pidfile": f"{state}/{NAME}.pid",
            "childlogdir": state,
            "silent": "true",  # its output would grow for ever, and end it on a full disk
        },
        "unix_http_server": {"file": _socket(settings), "chmod": "0600"},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        **{f"program:{part.name}": _program(state, part, at) for at, part in enumerate(parts, 1)},
    }
    settings_of = ([f"{key} = {value}" for key, value in values.items()] for values in sections.values())
    return "\n\n".join("\n".join([f"[{name}]", *lines]) for name, lines in zip(sections, settings_of, strict=True))


def _program(state: Path, part: Part, at: int) -> dict[str, object]:
    return {
        "command": f"""sh -c 'exec "${PYTHON}" -m deployments.part {part.name}'""",
        "priority": at,  # started in this order, stopped in the other
        "autorestart": "true",
        "startsecs": SECONDS_TO_STAND,
        "startretries": TRIES,
        "stopwaitsecs": int(part.grace),
        "stdout_logfile": f"{state}/{part.name}.log",
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": OLD_LOGS,
        "redirect_stderr": "true",
    }


def _call(settings: Settings) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{_socket(settings)}")
    socket.setdefaulttimeout(PATIENCE)  # the transport has none, and a stopped supervisord never answers
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _state(settings: Settings) -> Path:
    """Where logs lie, by a plain way."""
    return scratch(settings) / "state"


def _socket(settings: Settings) -> Path:
    return scratch(settings) / f"{NAME}.sock"


def _record(settings: Settings) -> Path:
    return settings.state / f"{NAME}.json"
