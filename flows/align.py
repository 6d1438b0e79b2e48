"""The flow `align`: from a checkpoint and training data to a better-aligned checkpoint, and the proof."""

from pathlib import Path

from prefect import flow

from clir_core.align.result import AlignSummary
from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec
from clir_core.jobs.workers import ray_workers
from clir_core.runs import align as run
from flows.audit import audit
from tasks.artifacts import publish_alignment
from tasks.events import announce, who
from tasks.runner import PrefectRunner


@flow(name="align", persist_result=False)
def align(spec: AlignSpec = AlignSpec()) -> AlignSummary:  # noqa: B008  frozen: one default is as good as many
    """Train a checkpoint against language inclination, prove on held-out data what that changed, and register it."""
    runner = PrefectRunner()
    with ray_workers(spec.runtime, runner.say) as workers:
        found = run.align(spec, workers, runner, _audit, who())
    announce(found.entry, found.news)
    publish_alignment(found.result, found.entry, found.out)
    return AlignSummary(out=found.out, checkpoint=found.result.trained.checkpoint, verdict=found.result.verdict)


def _audit(when: str, spec: AuditSpec) -> Path:
    return audit.with_options(flow_run_name=f"audit {when}")(spec).out


if __name__ == "__main__":
    from flows.cli import main

    main(["align"])
