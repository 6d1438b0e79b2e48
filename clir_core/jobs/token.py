"""The token that Ray's clusters of this user ask for. Imports no Ray: `make up` and `make status` start in a moment."""

import os
from pathlib import Path


def ray_token() -> str:
    """From where Ray itself looks for it; empty where there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    return path.read_text("utf-8").strip() if path.exists() else ""


def authorization() -> dict[str, str]:
    """The header that it goes in: Ray's own clients send it from a driver alone."""
    return {"Authorization": f"Bearer {token}"} if (token := ray_token()) else {}
