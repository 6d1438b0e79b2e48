"""What happens by itself, on a real server: a regression is told and trained, a crashed run starts again, twice."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.automations import AutomationCore
from service_case import Service, until

from deployments.automations import FILE, filled

DECLARED: list[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["automations"]
each = pytest.mark.parametrize("declared", DECLARED, ids=[one["name"] for one in DECLARED])

REASON = 'pull rose by 0.1 ("zh")'
KNOWN = {"notify": uuid4(), "align/finetune": uuid4()}


@each
def test_an_automation_is_one_that_prefect_knows_and_explains_itself(declared: dict[str, Any]) -> None:
    automation = AutomationCore.model_validate(filled(declared, KNOWN))
    assert automation.name.startswith("clir: ") and len(automation.description) > 40
    assert len({one["name"] for one in DECLARED}) == len(DECLARED)


def regress(service: Service, ref: str, family: str) -> None:
    """Tell the server that a checkpoint regressed, in the words of tasks/events.py."""
    event = {
        "id": str(uuid4()),
        "event": "clir.checkpoint.regressed",
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {
            "prefect.resource.id": f"clir.checkpoint.{uuid4().hex[:16]}",
            "prefect.resource.name": "e5-tuned",
            "clir.family": family,
        },
        "payload": {
            "name": "e5-tuned",
            "ref": ref,
            "family": family,
            "reason": REASON,
            "baseline": None,
            "finetune": json.dumps({"base": ref, "train": "demo#fit", "head_texts": ["demo#fit"]}),
        },
    }
    service.ask("POST", "/events", [event])


@contextmanager
def resting(service: Service) -> Iterator[None]:
    """The worker takes no runs meanwhile: a run's states are then the test's alone."""
    service.ask("PATCH", "/work_pools/clir", {"is_paused": True})
    try:
        yield
    finally:
        service.ask("PATCH", "/work_pools/clir", {"is_paused": False})


def test_a_regression_is_told_and_trained(service: Service) -> None:
    finetune = service.deployment("align/finetune")["id"]

    def trained() -> list[str]:
        runs = service.ask("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [finetune]}}})
        return sorted(run["parameters"]["spec"]["base"] for run in runs)

    with resting(service):
        regress(service, "/models/one", "e5")
        told = service.notified.get(timeout=60)
        assert (told["ref"], told["family"], told["baseline"]) == ("/models/one", "e5", "")
        assert told["reason"] == REASON and "e5-tuned" in told["text"]
        until(lambda: trained() == ["/models/one"])
        # the same family once more: told again, trained only once
        regress(service, "/models/two", "e5")
        assert service.notified.get(timeout=60)["ref"] == "/models/two"
        regress(service, "/models/three", "other")
        until(lambda: "/models/three" in trained())
        assert trained() == ["/models/one", "/models/three"]
        runs = service.ask("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [finetune]}}})
        assert all(run["parameters"]["spec"]["head_texts"] == ["demo#fit"] for run in runs)  # its family's own data
        assert service.notified.get(timeout=60)["ref"] == "/models/three"
        for run in service.ask("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [finetune]}}}):
            service.ask("DELETE", f"/flow_runs/{run['id']}")


def test_a_run_that_crashed_before_it_started_starts_again(service: Service) -> None:
    deployment = service.deployment("embed/corpus")["id"]
    with resting(service):
        run = service.ask("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
        for kind in ("PENDING", "CRASHED"):
            body = {"state": {"type": kind}, "force": True}
            assert service.ask("POST", f"/flow_runs/{run}/set_state", body)["status"] == "ACCEPT"
        until(lambda: service.ask("GET", f"/flow_runs/{run}")["state"]["name"] == "AwaitingRetry")
        service.ask("DELETE", f"/flow_runs/{run}")
