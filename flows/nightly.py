"""The flow `nightly`: finds checkpoints that nobody has audited, audits each, and says what became better or worse."""

from functools import partial

from prefect import flow

from clir_core.jobs.workers import ray_workers
from clir_core.registry.nightly import NightlySpec, NightlySummary
from flows.audit import audit
from tasks import nightly as steps
from tasks.runner import say


@flow(name="nightly", persist_result=False)
def nightly(spec: NightlySpec = NightlySpec()) -> NightlySummary:  # noqa: B008  frozen: one default is as good as many
    """Audit every new checkpoint of the watch list against its baseline; fails, at the end, where any audit failed."""
    watch, asked = steps.read(spec)
    discovered, due, known = steps.find(spec, watch, asked)
    judged = []
    with ray_workers(spec.runtime, say):
        for one in due:
            # a function: in a text, Prefect would fill in what the checkpoint's name has in braces
            state = audit.with_options(flow_run_name=partial(str, f"audit {one.name}"))(one.audit, return_state=True)
            judged.append(steps.judge(spec, watch, one, asked, steps.failure(state)))
    return steps.publish(spec, watch, asked, discovered, judged, known)


if __name__ == "__main__":
    from flows.cli import main

    main(["nightly"])
