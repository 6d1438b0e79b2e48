"""Results on disk that the registry does not know: of a run that was killed before its last step, or a lost fact."""

from collections.abc import Iterator
from pathlib import Path

from clir_core.align.result import AlignResult
from clir_core.audit.result import AuditResult
from clir_core.errors import StoreError
from clir_core.registry.registry import Registry
from clir_core.workspace import layout
from clir_core.workspace.damage import Finding
from clir_core.workspace.steps import read_result

AGAIN = "enters itself when it is asked for again, with the options under `spec` in that file; nothing is computed anew"


def unknown(workspace: Path) -> Iterator[Finding]:
    """Audits and alignments in their usual places without a fact; none is told while the registry cannot be read."""
    registry = Registry(workspace)
    try:
        registry.entries()
    except StoreError:
        return
    for file in sorted(layout.audits(workspace).glob(f"*/{layout.AUDIT}")):
        audit = read_result(file, AuditResult)
        if audit and audit.provenance.checkpoint and not _knows_audit(registry, audit):
            yield Finding(f"{file}: the registry does not know this audit of {audit.spec.model}", f"it {AGAIN}")
    for file in sorted(layout.alignments(workspace).glob(f"*/{layout.ALIGNMENT}")):
        alignment = read_result(file, AlignResult)
        if alignment and alignment.digest and not _knows_alignment(registry, alignment):
            yield Finding(f"{file}: the registry does not know what became of {alignment.name}", f"it {AGAIN}")


def _knows_audit(registry: Registry, audit: AuditResult) -> bool:
    entry = registry.get(audit.provenance.checkpoint)
    asked = audit.spec.asked(audit.provenance.corpus_fingerprint)
    return entry is not None and any(one.asked == asked and one.outcome != "failed" for one in entry.audits)


def _knows_alignment(registry: Registry, alignment: AlignResult) -> bool:
    entry = registry.get(alignment.digest)
    decided = (alignment.decision.status, alignment.decision.reason)
    return entry is not None and any((one.status, one.reason) == decided for one in entry.history)
