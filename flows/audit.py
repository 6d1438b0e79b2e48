"""The flow `audit`: from a corpus and a checkpoint to a verdict."""

from prefect import flow

from clir_core.audit.result import AuditSummary
from clir_core.audit.spec import AuditSpec
from clir_core.jobs.workers import ray_workers
from clir_core.runs import audit as run
from tasks.artifacts import publish
from tasks.events import announce, who
from tasks.runner import PrefectRunner


@flow(name="audit", persist_result=False)
def audit(spec: AuditSpec = AuditSpec()) -> AuditSummary:  # noqa: B008  frozen: one default is as good as many
    """Measure a checkpoint's English inclination, and the mirror image, on a multilingual corpus."""
    runner = PrefectRunner()
    with ray_workers(spec.runtime, runner.say) as workers:
        found = run.audit(spec, workers, runner, who())
    announce(found.entry, found.news)
    publish(found.result, found.out)
    return AuditSummary(out=found.out, verdict=found.result.verdict)


if __name__ == "__main__":
    from flows.cli import main

    main(["audit"])
