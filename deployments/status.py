"""What the server knows, as lines to read: the deployments with their next run, and the last runs.

Imports Prefect, so its settings have to be in the environment before.
"""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import DeploymentSchedule, StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort

SHOWN = 8


def lines() -> Iterator[str]:
    """Deployments, then the last runs of deployments, newest first."""
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        names: dict[UUID | None, str] = {}
        yield "Deployments"
        for each in sorted(client.read_deployments(), key=lambda each: (flows[each.flow_id], each.name)):
            names[each.id] = f"{flows[each.flow_id]}/{each.name}"
            crons = [_cron(one) for one in each.schedules if one.active]
            scheduled = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])))
            following = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[each.id])),
                flow_run_filter=scheduled,
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=1,
            )
            when = [*crons, *(f"next {_time(run.expected_start_time)}" for run in following)]
            yield f"  {names[each.id]:22} {', '.join(when) or 'on demand'}"
        ran = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
            start_time=FlowRunFilterStartTime(is_null_=False),
        )
        last = client.read_flow_runs(flow_run_filter=ran, sort=FlowRunSort.START_TIME_DESC, limit=SHOWN)
        yield "Last runs" if last else "No runs yet"
        for run in last:
            name = names.get(run.deployment_id, "deleted")
            yield f"  {_time(run.start_time)}  {run.state_name or '':12} {name:22} {run.name}"


def _cron(schedule: DeploymentSchedule) -> str:
    rule = schedule.schedule
    return f"{rule.cron} {rule.timezone or 'UTC'}" if isinstance(rule, CronSchedule) else "scheduled"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else " " * 20
