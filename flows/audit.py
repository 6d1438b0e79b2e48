"""The flow `audit`: from a corpus and a checkpoint to a verdict."""

from prefect import flow

from clir_core.audit.result import AuditSummary
from clir_core.audit.spec import AuditSpec
from clir_core.jobs.cluster import cluster_for
from tasks import audit as steps
from tasks.artifacts import publish
from tasks.registry import as_registered, register_audit
from tasks.timing import Timings


@flow(name="audit", persist_result=False)
def audit(spec: AuditSpec = AuditSpec()) -> AuditSummary:  # noqa: B008  frozen: one default is as good as many
    """Measure a checkpoint's English inclination, and the mirror image, on a multilingual corpus."""
    timings = Timings()
    corpus, fit = timings.timed("read corpus", steps.read, spec)
    with cluster_for(spec.runtime):
        checkpoint = timings.timed("resolve model", steps.resolve_model, spec)
        with steps.unchanged(checkpoint, spec.workspace):
            registered = as_registered(spec)
            embedded, _ = timings.kept("embed corpus", steps.embed, spec, corpus, checkpoint, fit)
        plan = timings.timed("build pools", steps.build_pools, spec, corpus)
        correction = timings.timed("fit correction", steps.fit_on, spec, fit, checkpoint, embedded) if fit else None
        ranks = steps.ranks_directory(spec, corpus, checkpoint, fit)
        ranked, _ = timings.kept("rank golds", steps.rank, spec, ranks, plan, corpus, checkpoint, embedded, correction)
    measures = steps.measures_directory(spec, ranks)
    measured, _ = timings.kept("compute metrics", steps.measure, spec, measures, ranks, corpus)
    result, out = steps.report(spec, corpus, checkpoint, embedded, ranked, measured, (ranks, measures), timings, fit)
    register_audit(result, out, registered)
    publish(result, out)
    return AuditSummary(out=out, verdict=result.verdict)


if __name__ == "__main__":
    from flows.cli import main

    main(["audit"])
