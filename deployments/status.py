"""What the server knows, as lines to read: the deployments with their next run, and the last runs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from deployments.parts import basic, call
from deployments.settings import Settings

SHOWN = 8


def lines(settings: Settings, secret: str) -> Iterator[str]:
    """Deployments, then the last runs of deployments, newest first."""

    def ask(what: str, **body: Any) -> list[dict[str, Any]]:
        # without Prefect, whose import takes longer than all the questions
        return list(call(f"{settings.ui}/api/{what}/filter", basic(secret), body, "POST") or [])

    flows = {flow["id"]: flow["name"] for flow in ask("flows")}
    deployments = {each["id"]: each for each in ask("deployments")}
    names = {key: f"{flows.get(each['flow_id'], '?')}/{each['name']}" for key, each in deployments.items()}
    yield "Deployments"
    for key, name in sorted(names.items(), key=lambda pair: pair[1]):
        following = ask(
            "flow_runs",
            deployments={"id": {"any_": [key]}},
            flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}},
            sort="EXPECTED_START_TIME_ASC",
            limit=1,
        )
        crons = [_cron(one["schedule"]) for one in deployments[key]["schedules"] if one["active"]]
        when = [*crons, *(f"next {_time(run['expected_start_time'])}" for run in following)]
        yield f"  {name:22} {', '.join(when) or 'on demand'}"
    ran = {"deployment_id": {"is_null_": False}, "start_time": {"is_null_": False}}
    last = ask("flow_runs", flow_runs=ran, sort="START_TIME_DESC", limit=SHOWN)
    yield "Last runs" if last else "No runs yet"
    for run in last:
        name = names.get(run["deployment_id"], "deleted")
        yield f"  {_time(run['start_time'])}  {run['state_name'] or '':12} {name:22} {run['name']}"


def _cron(rule: dict[str, Any]) -> str:
    return f"{rule['cron']} {rule['timezone'] or 'UTC'}" if "cron" in rule else "scheduled"


def _time(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M} UTC" if moment else " " * 20
