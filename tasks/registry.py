"""Registering what a run found, as Prefect tasks."""

from pathlib import Path

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from clir_core.align.result import AlignResult
from clir_core.audit.result import AuditResult
from clir_core.model.checkpoint import Checkpoint
from clir_core.registry.facts import Entry
from clir_core.runs.record import record_alignment, record_audit
from tasks.events import tell
from tasks.step import step


@step("register audit")
def register_audit(result: AuditResult, out: Path, checkpoint: Checkpoint) -> Entry:
    """Enter the audit, and the checkpoint if nobody knows it yet, into the workspace's registry."""
    entry, audited = record_audit(result, out, checkpoint, who())
    if audited:
        tell("audited", entry, audited)
    return entry


@step("register")
def register_alignment(result: AlignResult, made: Checkpoint) -> Entry:
    """Enter the trained checkpoint, with what became of it and why."""
    entry, decided = record_alignment(result, made, who())
    if decided and decided.status == "promoted":
        tell("promoted", entry, decided)
    get_run_logger().info("registered as %s: %s", entry.name, entry.status)
    return entry


def who() -> str:
    """The flow run that writes a fact."""
    return f"flow run {flow_run.name}"
