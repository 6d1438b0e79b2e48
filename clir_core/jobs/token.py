"""The token that Ray's clusters of this user ask for. Imports no Ray: `make up` and `make status` start in a moment."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from clir_core.workspace.private import OWN_FOLDER, close_file
from clir_core.workspace.storage import explained

HOME = "~/.ray/auth_token"


def ray_token() -> str:
    """From where Ray itself looks for it; empty where there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or HOME).expanduser()
    return path.read_text("utf-8").strip() if path.exists() else ""


def keep_token() -> None:
    """Make the token where there is none, and close its file: Ray's own is one that every user may read (0644).

    StoreError where it cannot be. One that somebody put elsewhere, or a cluster that asks for none, is left alone.
    """
    elsewhere = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if elsewhere or os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    path = Path(HOME).expanduser()
    with explained(path):
        path.parent.mkdir(OWN_FOLDER, parents=True, exist_ok=True)
        if not ray_token():
            path.unlink(missing_ok=True)  # an empty one is none
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
                file.write(secrets.token_hex(32))
                file.flush()
                # another program may be faster, and its token is the one
                with suppress(FileExistsError):
                    os.link(file.name, path)
        close_file(path)


def authorization() -> dict[str, str]:
    """The header that it goes in: Ray's own clients send it from a driver alone."""
    return {"Authorization": f"Bearer {token}"} if (token := ray_token()) else {}
