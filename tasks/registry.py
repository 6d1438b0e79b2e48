"""Registering what a run found, as Prefect tasks."""

from pathlib import Path

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from clir_core.align.result import AlignResult
from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.registry.facts import DTYPE, Audited, Decided, Entry, Found, Registry
from tasks.events import tell
from tasks.step import step


def as_registered(spec: AuditSpec) -> Checkpoint:
    """The checkpoint by the fingerprint that the registry knows. Within `unchanged`: else it may be another one's."""
    return resolve(spec.model, spec.encoding, spec.workspace / "models", DTYPE)


@step("register audit")
def register_audit(result: AuditResult, out: Path, checkpoint: Checkpoint) -> Entry:
    """Enter the audit, and the checkpoint if nobody knows it yet, into the workspace's registry."""
    spec = result.spec
    registry = Registry(spec.workspace)
    entry = registry.get(checkpoint.digest)
    if not entry:
        registry.add(found(checkpoint, checkpoint.name, "audit"))
    asked = spec.asked(result.provenance.corpus_fingerprint)
    known = entry.audit(asked) if entry else None
    if not known or known.out != out:
        fact = Audited(
            checkpoint=checkpoint.digest,
            asked=asked,
            corpus=spec.corpus,
            outcome="measured",
            verdict=result.verdict[0],
            out=out,
            by=who(),
        )
        if registry.add(fact):
            tell("audited", _entry(registry, checkpoint.digest), fact)
    return _entry(registry, checkpoint.digest)


@step("register")
def register_alignment(result: AlignResult, made: Checkpoint) -> Entry:
    """Enter the trained checkpoint, with what became of it and why."""
    registry = Registry(result.spec.workspace)
    base = registry.get(result.base_digest)
    family = base.found.family if base else made.name
    # not the spec's: the same weights may be held against another gate
    run = result.trained.name.rpartition("-")[2]
    parent = result.base_digest
    registry.add(found(made, family, "align").model_copy(update={"parent": parent, "run": run}))
    fact = Decided(
        checkpoint=made.digest,
        status=result.decision.status,
        reason=result.decision.reason,
        by=who(),
        audit_before=result.audit_before,
        audit_after=result.audit_after,
    )
    entry = _entry(registry, made.digest)
    # the same run asked again decides nothing anew, least of all against what a person said since
    said_before = any((one.status, one.reason) == (fact.status, fact.reason) for one in entry.history)
    if not said_before and registry.add(fact):
        entry = _entry(registry, made.digest)
        if fact.status == "promoted":
            tell("promoted", entry, fact)
    get_run_logger().info("registered as %s: %s", entry.name, entry.status)
    return entry


def found(checkpoint: Checkpoint, family: str, source: str) -> Found:
    """The fact that a checkpoint is there."""
    ref = checkpoint.ref if checkpoint.ref.startswith("bundled:") else str(checkpoint.path)
    if checkpoint.ref.startswith("hf:"):
        # the hub's client names a snapshot's folder by its commit; what a tag or a branch names may change
        ref = f"hf:{checkpoint.name}@{checkpoint.path.name}"
    return Found(checkpoint=checkpoint.digest, name=checkpoint.name, ref=ref, family=family, source=source)


def who() -> str:
    """The flow run that writes a fact."""
    return f"flow run {flow_run.name}"


def _entry(registry: Registry, checkpoint: str) -> Entry:
    entry = registry.get(checkpoint)
    assert entry
    return entry
