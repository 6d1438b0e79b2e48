"""The flow `audit`: from a corpus and a checkpoint to a verdict."""

import time
from collections.abc import Callable
from typing import TypeVar

from prefect import flow

from clir_core.audit import AuditSpec, AuditSummary
from clir_core.jobs.cluster import cluster
from tasks import audit as steps
from tasks.artifacts import publish

T = TypeVar("T")


@flow(name="audit", persist_result=False)
def audit(spec: AuditSpec = AuditSpec()) -> AuditSummary:  # noqa: B008  frozen: one default is as good as many
    """Measure a checkpoint's English inclination, and the mirror image, on a multilingual corpus."""
    timings: dict[str, float] = {}

    def timed(name: str, step: Callable[..., T], *values: object) -> T:
        started = time.monotonic()
        found = step(*values)
        timings[name] = round(time.monotonic() - started, 3)
        return found

    def kept(name: str, step: Callable[..., tuple[T, bool]], *values: object) -> T:
        found, done_before = timed(name, step, *values)
        if done_before:
            timings[name] = 0.0
        return found

    corpus, fit = timed("read corpus", steps.read, spec)
    with cluster(spec.runtime.ray_address):
        checkpoint = timed("resolve model", steps.resolve_model, spec)
        embedded = kept("embed corpus", steps.embed, spec, corpus, checkpoint, fit)
        plan = timed("build pools", steps.build_pools, spec, corpus)
        correction = timed("fit correction", steps.fit_on, spec, fit, checkpoint, embedded) if fit else None
        ranks = steps.ranks_directory(spec, corpus, checkpoint, fit)
        ranked = kept("rank golds", steps.rank, ranks, plan, corpus, embedded, correction)
    measures = steps.measures_directory(spec, ranks)
    measured = kept("compute metrics", steps.measure, spec, measures, ranks, corpus)
    result, out = steps.report(spec, corpus, checkpoint, embedded, ranked, measured, (ranks, measures), timings, fit)
    publish(result, out)
    return AuditSummary(out=out, verdict=result.verdict)


if __name__ == "__main__":
    from flows.cli import main

    main(["audit"])
