"""Prefect events of checkpoints, clir.checkpoint.audited and so on: what automations listen to."""

from typing import Literal

from prefect.events import emit_event
from prefect.runtime import flow_run

from clir_core.registry.facts import Audited, Decided, Entry
from clir_core.workspace import layout

Kind = Literal["audited", "regressed", "improved", "promoted"]


def who() -> str:
    """The flow run that writes a fact."""
    return f"flow run {flow_run.name}"


def announce(entry: Entry, news: Audited | Decided | None) -> None:
    """Tell what a run entered into the registry, where anybody waits for it."""
    if isinstance(news, Audited):
        tell("audited", entry, news)
    elif news and news.status == "promoted":
        tell("promoted", entry, news)


def tell(kind: Kind, entry: Entry, fact: Audited | Decided, **further: str) -> None:
    """Emit an event of a checkpoint, with what an automation's template needs in its payload."""
    emit_event(
        event=f"clir.checkpoint.{kind}",
        resource={
            "prefect.resource.id": f"clir.checkpoint.{entry.checkpoint[:16]}",
            "prefect.resource.name": entry.name,
            "clir.family": entry.found.family,
        },
        payload={
            "name": entry.name,
            "ref": entry.found.ref,
            "family": entry.found.family,
            "checkpoint": entry.checkpoint,
            "reason": fact.reason,
            **_of_audit(fact),
            **further,
        },
    )


def _of_audit(fact: Audited | Decided) -> dict[str, str | None]:
    if isinstance(fact, Decided):
        return {"by": fact.by}
    report = str(fact.out / layout.REPORT) if fact.out else None
    return {"outcome": fact.outcome, "baseline": fact.baseline, "verdict": fact.verdict, "report": report}
