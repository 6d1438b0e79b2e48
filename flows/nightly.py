"""The flow `nightly`: finds checkpoints that nobody has audited, audits each, and says what became better or worse."""

from functools import partial

from prefect import flow
from prefect.states import State

from clir_core.audit.result import AuditSummary
from clir_core.audit.spec import AuditSpec
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
            found = steps.judge(spec, watch, one, asked, steps.failure(_audited(f"audit {one.name}", one.audit)))
            tried = [_audited(f"try a correction of {one.name}", each) for each in steps.tried(watch, one, found)]
            judged.append(steps.offered(watch, found, [*map(steps.ended, tried)]) if tried else found)
    return steps.publish(spec, watch, asked, discovered, judged, known)


def _audited(name: str, asked: AuditSpec) -> State[AuditSummary]:
    # a function: in a text, Prefect would fill in what the checkpoint's name has in braces
    return audit.with_options(flow_run_name=partial(str, name))(asked, return_state=True)


if __name__ == "__main__":
    from flows.cli import main

    main(["nightly"])
