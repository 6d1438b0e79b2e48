"""Which Prefect server a command reports to, and how it logs in."""

import os
import secrets
import shutil
import tempfile
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from clir_core.errors import StoreError
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.private import OWN_FILE, OWN_FOLDER, close
from clir_core.workspace.storage import explained

# what Prefect's history of a run may take: without it the temporary server does not start, and does not say why
HISTORY_BYTES = 64 * 2**20


class _Service(BaseModel):
    """Of what `make up` keeps, that which a client needs."""

    ui_port: int = Field(ge=1, le=65535)


@contextmanager
def prefect_server(workspace: Path) -> Iterator[None]:
    """The configured Prefect server, else that of `make up`, else a temporary one.

    The last two keep their history in the workspace.
    """
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_HOME,
        PREFECT_SERVER_API_AUTH_STRING,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    close(workspace)
    if PREFECT_API_URL.value():
        yield
        return
    if url := _standing(workspace):
        with temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: login(layout.login(workspace))}):
            yield
        return
    home = layout.prefect(workspace).resolve()
    check_disk(home)
    asked = login(layout.login(workspace))
    with temporary_settings(
        {
            PREFECT_HOME: home,
            PREFECT_API_AUTH_STRING: asked,
            PREFECT_SERVER_API_AUTH_STRING: asked,
            PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120,
        }
    ):
        yield


def check_disk(home: Path) -> None:
    """StoreError where a server could not even write down that a run began; it would not say so itself."""
    with explained(home):
        home.mkdir(OWN_FOLDER, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
        free = shutil.disk_usage(home).free
    if free < HISTORY_BYTES:
        raise StoreError(
            f"{home}: no space left for the history of the runs ({free / 2**20:.1f} MiB are free, it needs "
            f"{HISTORY_BYTES >> 20}); free some or set `workspace` to another disk, then run again"
        )


def is_standing(workspace: Path) -> bool:
    """Whether a server is there to report to. Imports Prefect only where one of its profiles may name it."""
    if os.environ.get("PREFECT_API_URL") or _standing(workspace):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    if not (home / "profiles.toml").exists():
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _standing(workspace: Path) -> str | None:
    """The API of the service that `make up` started in this workspace, if it answers to the workspace's login."""
    settings = layout.service_settings(workspace)
    if not settings.exists():
        return None
    with explained(settings):
        data = settings.read_bytes()
    try:
        api = f"http://127.0.0.1:{_Service.model_validate_json(data).ui_port}/api"
    except ValidationError as error:
        raise StoreError(
            f"{settings}: is damaged; remove it, and `make up` again where a service runs in this workspace"
        ) from error
    asked = urllib.request.Request(f"{api}/admin/version")
    asked.add_header("Authorization", f"Basic {b64encode(login(layout.login(workspace)).encode()).decode()}")
    # after a power cut another workspace's service may listen there; and no proxy is asked for this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(asked, timeout=5).close()
    except (OSError, HTTPException):  # nobody, or somebody who speaks no HTTP
        return None
    return api


def login(path: Path) -> str:
    """User and password of the workspace's Prefect server, made on first use."""
    with explained(path):
        secret = path.read_text("utf-8") if path.exists() else ""
    if not secret:
        secret = f"clir:{secrets.token_urlsafe(24)}"
        write_text(path, secret, OWN_FILE)
    return secret
