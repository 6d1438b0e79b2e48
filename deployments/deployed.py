"""What was deployed last, and whether that is still on the server: so that `make up` does not do it all again."""

import json
from pathlib import Path

from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_text
from deployments.parts import basic, call
from deployments.settings import ROOT, Settings

_LAYERS = ("deployments", "flows", "tasks", "clir_core")  # whose specs are the deployments' parameters


def state_of(settings: Settings) -> str:
    """A digest of all that deploying depends on: the code, the declarations, what the environment says."""
    files = sorted(
        path for layer in _LAYERS for ending in ("py", "yaml") for path in (ROOT / layer).rglob(f"*.{ending}")
    )
    asked = (settings.database, str(settings.home), settings.notify_url, settings.auto_finetune)
    return sha256_of([asked, [(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in files]])


def is_there(settings: Settings, secret: str, state: str) -> bool:
    """Whether this state was deployed to this server, which has all of it."""
    file = _file(settings)
    if not file.exists():
        return False
    kept = json.loads(file.read_text("utf-8"))
    found = call(f"{settings.ui}/api/deployments/filter", basic(secret), {}, "POST") or []
    return bool(kept["state"] == state and {each["name"] for each in found} >= {*kept["names"]})


def remember(settings: Settings, state: str, names: tuple[str, ...]) -> None:
    """This state is on the server, with deployments of these names (flow/deployment)."""
    bare = [name.rpartition("/")[2] for name in names]
    write_text(_file(settings), json.dumps({"state": state, "names": bare}))


def _file(settings: Settings) -> Path:
    return settings.state / "deployed.json"
