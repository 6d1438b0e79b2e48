"""A PostgreSQL server of one's own, from the distribution's package: on a free port, with a password."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

SWITCH = "CLIR_TEST_POSTGRES"


def commands() -> Path:
    """Where initdb and postgres are: Debian keeps them off the PATH. Skips where they are not installed."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip(f"{SWITCH} is set, but no PostgreSQL server is installed; apt-get install postgresql")
    return found[-1]


@dataclass
class Postgres:
    """A server that can be killed and started again, and the DATABASE_URL of an empty database in it."""

    url: str
    _command: list[str]
    _question: list[object]
    _password: str
    _log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Until it answers; after a kill it may have to wait for what the one before left."""
        deadline = time.monotonic() + 60
        environment = {**os.environ, "PGPASSWORD": self._password}
        while subprocess.run(_as("", *self._question), env=environment, capture_output=True).returncode:
            assert time.monotonic() < deadline, self._log.read_text("utf-8")
            if self._process is None or self._process.poll() is not None:
                with self._log.open("ab") as log:
                    self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Fast, by default: SIGTERM would wait for every client to go."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(60)


@contextmanager
def serve() -> Iterator[Postgres]:
    """One whose database's owner is no superuser, until the block ends."""
    binaries, user = commands(), _user()
    # not below pytest's own folders: those are closed to other users
    home = Path(tempfile.mkdtemp(prefix="clir-pg-", dir="/tmp"))
    try:
        if user:
            shutil.chown(home, user)
        admin, password = secrets.token_hex(16), f"a/b@{secrets.token_hex(16)}"
        (home / "admin").write_text(admin, "utf-8")
        port = _free_port()
        initdb = [binaries / "initdb", "-D", home / "data", "-U", "admin", "-A", "scram-sha-256", "-E", "UTF8"]
        _run(user, *initdb, "--locale", "C.UTF-8", "--no-sync", "--pwfile", home / "admin")
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home, "fsync": "off"}
        command = [binaries / "postgres", "-D", home / "data", *(f"--{key}={value}" for key, value in options.items())]
        psql = [binaries / "psql", "-h", "127.0.0.1", "-p", port, "-U", "admin", "-d", "postgres", "-q"]
        url = f"postgresql://clir:{quote(password, safe='')}@127.0.0.1:{port}/clir"
        server = Postgres(url, _as(user, *command), [*psql, "-c", "select 1"], admin, home / "log")
        try:
            server.start()
            for sql in (f"CREATE ROLE clir LOGIN PASSWORD '{password}'", "CREATE DATABASE clir OWNER clir"):
                subprocess.run(_as("", *psql, "-c", sql), env={**os.environ, "PGPASSWORD": admin}, check=True)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _user() -> str:
    """Who the server runs as: it refuses to be root. Empty for whoever runs the tests."""
    if os.geteuid():
        return ""
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _as(user: str, *command: object) -> list[str]:
    change = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"] if user else []
    return [*change, *map(str, command)]


def _run(user: str, *command: object) -> None:
    done = subprocess.run(_as(user, *command), cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
