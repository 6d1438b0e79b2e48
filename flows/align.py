"""The flow `align`: from a checkpoint and training data to a better-aligned checkpoint, and the proof."""

from prefect import flow

from clir_core.align.audits import audit_spec
from clir_core.align.result import AlignSummary
from clir_core.align.spec import AlignSpec
from clir_core.jobs.cluster import cluster_for
from clir_core.jobs.train import run_directory
from flows.audit import audit
from tasks import align as steps
from tasks.artifacts import publish_alignment
from tasks.registry import register_alignment
from tasks.timing import Timings


@flow(name="align", persist_result=False)
def align(spec: AlignSpec = AlignSpec()) -> AlignSummary:  # noqa: B008  frozen: one default is as good as many
    """Train a checkpoint against language inclination, prove on held-out data what that changed, and register it."""
    timings = Timings()
    audit_before, audit_after = (audit.with_options(flow_run_name=f"audit {when}") for when in ("before", "after"))
    triples = timings.timed("read training data", steps.read, spec)
    shared = timings.timed("check contamination", steps.check_contamination, spec, triples)
    with cluster_for(spec.runtime):
        base = timings.timed("resolve base", steps.resolve_base, spec)
        run = run_directory(spec, base, triples)
        name = steps.name_of(base, run)
        out = steps.check_output(spec, name, run)
        before = timings.timed("audit before", audit_before, audit_spec(spec, spec.base))
        steps.check_gate(spec, before.out)
        trained, _ = timings.kept("train", steps.train, spec, base, triples, run)
        made = steps.keep(spec, trained, name)
        after = timings.timed("audit after", audit_after, audit_spec(spec, made.ref))
    audits = (before.out, after.out)
    compared = timings.timed("compare and decide", steps.compare, spec, *audits)
    result = steps.report(spec, base, triples, shared, trained, made, compared, audits, timings, out)
    entry = register_alignment(result, made)
    publish_alignment(result, entry, out)
    return AlignSummary(out=out, checkpoint=result.trained.checkpoint, verdict=result.verdict)


if __name__ == "__main__":
    from flows.cli import main

    main(["align"])
