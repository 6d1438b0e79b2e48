"""Every deployment of prefect.yaml can be run as it stands, from a form that explains and checks itself."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

FILE = Path(__file__).resolve().parents[2] / "deployments" / "prefect.yaml"
DECLARED = yaml.safe_load(FILE.read_text("utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DECLARED["deployments"]
each = pytest.mark.parametrize("declared", DEPLOYMENTS, ids=[one["entrypoint"] for one in DEPLOYMENTS])


def flow_of(declared: dict[str, Any]) -> Any:
    path, _, name = declared["entrypoint"].partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)


def test_the_deployments_are_those_that_the_documentation_names() -> None:
    assert {f"{flow_of(one).name}/{one['name']}" for one in DEPLOYMENTS} == {
        "audit/checkpoint",
        "nightly/audit",
        "align/finetune",
        "embed/corpus",
        "compare/checkpoints",
        "correct/vectors",
        "health/service",
    }


def unexplained(model: type[BaseModel]) -> Iterator[str]:
    """Fields without a description; a group of fields is explained by its own, each in turn."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in unexplained(field.annotation))
        elif not field.description:
            yield name


@each
def test_a_form_needs_no_entry_and_explains_every_field(declared: dict[str, Any]) -> None:
    (parameter,) = inspect.signature(flow_of(declared).fn).parameters.values()
    assert parameter.name == "spec" and issubclass(parameter.annotation, BaseModel)
    parameter.annotation()
    assert parameter.annotation.model_config.get("frozen")
    assert not list(unexplained(parameter.annotation))


@each
def test_a_form_labels_every_field_and_group_of_fields_by_its_name(declared: dict[str, Any]) -> None:
    (parameter,) = inspect.signature(flow_of(declared).fn).parameters.values()
    schema = parameter.annotation.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part["properties"].items():
            assert field["title"] and field["title"][0].isupper() and "Spec" not in field["title"], name


@each
def test_a_deployment_says_what_it_does_and_checks_what_it_is_given(declared: dict[str, Any]) -> None:
    assert declared["enforce_parameter_schema"] is True
    assert len(declared["description"]) > 80 and "clir" in declared["tags"]


def test_training_waits_in_a_queue_of_its_own() -> None:
    queues = {one["entrypoint"]: one["work_pool"]["work_queue_name"] for one in DEPLOYMENTS}
    assert {entrypoint for entrypoint, queue in queues.items() if queue == "training"} == {"flows/align.py:align"}
    assert set(queues.values()) == {"training", "audits"}


def test_the_nightly_waits_for_the_one_before() -> None:
    (nightly,) = (one for one in DEPLOYMENTS if one["entrypoint"].startswith("flows/nightly.py"))
    assert [(one["cron"], one["timezone"]) for one in nightly["schedules"]] == [("0 2 * * *", "UTC")]
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_no_path_of_a_machine_is_in_the_file() -> None:
    assert not re.search(r"[\s\"'](/[a-z]+){2,}|~/", FILE.read_text("utf-8"))
    assert DECLARED["pull"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $CLIR_ROOT }}"}}]
