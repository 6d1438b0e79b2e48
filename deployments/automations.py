"""The automations of automations.yaml, made or brought up to date on the server by their names.

Imports Prefect, so its settings have to be in the environment before.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.automations import AutomationCore
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from deployments.settings import Settings

FILE = Path(__file__).with_name("automations.yaml")
BLOCK = "clir-notify"


def make_automations(settings: Settings) -> dict[str, bool]:
    """Every automation by its name, and whether it is on: what is switched off is taken off the server."""
    with get_client(sync_client=True) as client:
        switches = {"notify": _is_on(settings.notify_url), "finetune": settings.auto_finetune}
        known = {
            "notify": _webhook(client, settings.notify_url),
            "align/finetune": client.read_deployment_by_name("align/finetune").id,
        }
        made, file = {}, yaml.safe_load(FILE.read_text("utf-8"))
        for name in file["formerly"]:
            _put(client, None, name)
        for declared in file["automations"]:
            name = declared["name"]
            on = switches[declared.pop("requires")] if "requires" in declared else True
            if on is None:
                on = bool(client.read_automations_by_name(name))
            made[name] = on
            _put(client, filled(declared, known) if on else None, name)
        return made


def filled(declared: Any, known: dict[str, Any]) -> Any:
    """The declaration with the server's ids where it says <name>."""
    if isinstance(declared, dict):
        return {key: filled(value, known) for key, value in declared.items()}
    if isinstance(declared, list):
        return [filled(value, known) for value in declared]
    if isinstance(declared, str) and declared[:1] == "<" and declared[-1:] == ">":
        return known[declared[1:-1]]
    return declared


def _put(client: SyncPrefectClient, declared: dict[str, Any] | None, name: str) -> None:
    """Make, change or (without a declaration) remove the automation; the same name twice becomes once.

    One that stays as it is keeps what it counted: a change would forget which runs it watches.
    """
    there = client.read_automations_by_name(name)
    wanted = AutomationCore.model_validate(declared) if declared else None
    for spare in there if wanted is None else there[1:]:
        client.delete_automation(spare.id)
    if wanted is None:
        return
    if not there:
        client.create_automation(wanted)
    elif AutomationCore.model_validate(there[0].model_dump()) != wanted:
        client.update_automation(there[0].id, wanted)


def _is_on(url: str) -> bool | None:
    """None where nothing is said."""
    return url != "off" if url else None


def _webhook(client: SyncPrefectClient, url: str) -> UUID | None:
    """The block that keeps the notification's address, encrypted by the server: a new address, or the one it has."""
    if not _is_on(url):
        try:
            return client.read_block_document_by_name(BLOCK, "webhook").id
        except ObjectNotFound:
            return None
    headers: Any = {"Content-Type": "application/json"}
    block = Webhook(url=SecretStr(url), method="POST", headers=headers)
    found = block.save(BLOCK, overwrite=True)
    return found if isinstance(found, UUID) else None
