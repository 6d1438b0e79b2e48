"""What a run enters into the registry: `by` says who it is, and what was entered is returned, to be told to others."""

from pathlib import Path

from clir_core.align.result import AlignResult
from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.model.baseline import RUN
from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.registry.facts import DTYPE, Audited, Decided, Entry, Found
from clir_core.registry.history import main_figures
from clir_core.registry.registry import Registry
from clir_core.workspace import layout


def as_registered(spec: AuditSpec, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint in the dtype of a registry of before. Within `unchanged`: else it may be another one."""
    if checkpoint.dtype == DTYPE:
        return checkpoint
    return resolve(spec.model, spec.encoding, layout.models(spec.workspace), DTYPE)


def found(checkpoint: Checkpoint, family: str, source: str) -> Found:
    """The fact that a checkpoint is there."""
    is_ref = checkpoint.kind in ("vectors", "served", "bm25") or checkpoint.ref.startswith("bundled:")
    ref = checkpoint.ref if is_ref else str(Path(checkpoint.ref).expanduser().resolve())
    if checkpoint.kind == "run":
        ref = f"{RUN}{checkpoint.path}"
    if checkpoint.ref.startswith("hf:"):
        # the hub's client names a snapshot's folder by its commit; what a tag or a branch names may change
        ref = f"hf:{checkpoint.name}@{checkpoint.path.name}"
    return Found(
        checkpoint=checkpoint.digest,
        name=checkpoint.name,
        ref=ref,
        family=family,
        source=source,
        formerly=checkpoint.vectors,
    )


def known_as(registry: Registry, fact: Found) -> tuple[Entry | None, Found]:
    """The entry of a found checkpoint, if it has one, and the fact without its former fingerprint.

    An entry that a registry of before has under that one comes under today's first, with its name and its family.
    """
    known, former = registry.get(fact.checkpoint), registry.get(fact.formerly or "")
    if former and former.checkpoint != fact.checkpoint:
        kept = (known or former).found.model_dump(exclude={"at"})
        registry.add(Found(**(kept | {"checkpoint": fact.checkpoint, "formerly": former.checkpoint})))
        known = registry.get(fact.checkpoint)
    return known, fact.model_copy(update={"formerly": None})


def record_audit(result: AuditResult, out: Path, checkpoint: Checkpoint, by: str) -> tuple[Entry, Audited | None]:
    """Enter an audit, and its checkpoint if nobody knows it yet; no fact where all of that was known."""
    spec, registry = result.spec, Registry(result.spec.workspace)
    known, place = known_as(registry, found(checkpoint, checkpoint.name, "audit"))
    if not known:
        registry.add(place)
    asked = spec.asked(result.provenance.corpus_fingerprint)
    last = known.audit(asked) if known else None
    fact = Audited(
        checkpoint=place.checkpoint,
        asked=asked,
        corpus=spec.corpus,
        outcome="measured",
        verdict=result.verdict[0],
        pivot=spec.pivot,
        figures=main_figures(result.metrics, spec.pivot),
        out=out,
        by=by,
    )
    is_new = (not last or last.out != out) and registry.add(fact)
    return _entry(registry, place.checkpoint), fact if is_new else None


def record_alignment(result: AlignResult, made: Checkpoint, by: str) -> tuple[Entry, Decided | None]:
    """Enter a trained checkpoint, with what became of it and why; no decision where it was decided so before."""
    registry = Registry(result.spec.workspace)
    base = registry.get(result.base_digest)
    _, place = known_as(registry, found(made, base.found.family if base else made.name, "align"))
    # not the spec's: the same weights may be held against another gate
    run = result.trained.name.rpartition("-")[2]
    registry.add(place.model_copy(update={"parent": result.base_digest, "run": run}))
    fact = Decided(
        checkpoint=place.checkpoint,
        status=result.decision.status,
        reason=result.decision.reason,
        by=by,
        audit_before=result.audit_before,
        audit_after=result.audit_after,
    )
    # the same run asked again decides nothing anew, least of all against what a person said since
    history = _entry(registry, place.checkpoint).history
    said_before = any((one.status, one.reason) == (fact.status, fact.reason) for one in history)
    is_new = not said_before and registry.add(fact)
    return _entry(registry, place.checkpoint), fact if is_new else None


def _entry(registry: Registry, checkpoint: str) -> Entry:
    entry = registry.get(checkpoint)
    assert entry
    return entry
