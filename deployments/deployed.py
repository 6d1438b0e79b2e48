"""What was deployed last, and whether that is still on the server: so that `make up` does not do it all again."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_text
from deployments.parts import POOL, basic, call
from deployments.settings import ROOT, Settings

_LAYERS = ("deployments", "flows", "tasks", "clir_core")  # whose specs are the deployments' parameters


class _Deployed(BaseModel):
    """What the file keeps: the state that was deployed, and what stood on the server then, by kind."""

    state: str
    names: dict[str, list[str]]


def state_of(settings: Settings) -> str:
    """A digest of all that deploying depends on: the code, the declarations, what the environment says."""
    below = (path for layer in _LAYERS for path in (ROOT / layer).rglob("*.*"))
    files = [*sorted(path for path in below if path.suffix in (".py", ".yaml")), ROOT / "requirements.lock"]
    asked = (settings.database, str(settings.home), settings.notify_url, settings.auto_finetune)
    return sha256_of([asked, [(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in files]])


def is_there(settings: Settings, secret: str, state: str) -> bool:
    """Whether this state was deployed to this server, which has all of it."""
    file = _file(settings)
    if not file.exists():
        return False
    try:
        kept = _Deployed.model_validate_json(file.read_bytes())
    except ValidationError:  # damaged: all is deployed again
        return False
    return kept == _Deployed(state=state, names=_on_server(settings, secret))


def remember(settings: Settings, secret: str, state: str) -> None:
    """This state is on the server, as that is now."""
    write_text(_file(settings), _Deployed(state=state, names=_on_server(settings, secret)).model_dump_json())


def _on_server(settings: Settings, secret: str) -> dict[str, list[str]]:
    """What there is of each kind, by its names; a person may have taken something away."""
    kinds = ("work_pools", f"work_pools/{POOL}/queues", "deployments", "automations")
    found = {kind: call(f"{settings.ui}/api/{kind}/filter", basic(secret), {}, "POST") or [] for kind in kinds}
    return {kind: sorted(each["name"] for each in all_of_it) for kind, all_of_it in found.items()}


def _file(settings: Settings) -> Path:
    return settings.state / "deployed.json"
