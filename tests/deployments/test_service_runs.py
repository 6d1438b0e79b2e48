"""The service at work, as its users meet it: a training from the shell, a checkpoint that is found at night."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from postgres_case import SWITCH
from service_case import Service, drop, steps, until, watch_list

GROUPS = 6  # all of the demo corpus's first topic, which is in its test split


@dataclass(frozen=True)
class Asked:
    """What the nights look at, and where."""

    corpus: Path
    watch: Path
    model: Path


@pytest.fixture(scope="module")
def asked(
    service: Service, tiny_model: Path, demo_part: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Asked:
    place = tmp_path_factory.mktemp("asked")
    corpus = demo_part(place / "corpus", ("de",), GROUPS)
    sources = [{"kind": "directory", "path": "incoming", "settle": 0}, {"kind": "aligned"}]
    family = {"name": "tiny", "baseline": str(tiny_model), "sources": sources}
    (service.workspace / "incoming").mkdir()
    return Asked(corpus, watch_list(place / "watch.yaml", corpus, family), tiny_model)


@dataclass(frozen=True)
class Done:
    """What came of a run or a command, and the jobs that Ray was given meanwhile."""

    outcome: Any
    jobs: dict[str, Any]


def watched(service: Service, do: Callable[[], Any]) -> Done:
    before = service.jobs()
    outcome = do()
    return Done(outcome, {name: job for name, job in service.jobs().items() if name not in before})


# each of these goes on where the one before ended
@pytest.fixture(scope="module")
def trained(service: Service, asked: Asked) -> Done:
    """align/finetune, run and watched from a shell: three steps that move hardly anything."""
    spec = {
        "base": str(asked.model),
        "evaluation": f"parquet:{asked.corpus}",
        "languages": ["de"],
        "triples": 24,
        "loss": "infonce",
        "head": False,
        "held_out": 0.0,
        "optimiser": {"batch": 8, "learning_rate": 1e-7},
        "workspace": str(service.workspace),
    }
    run = ("deployment", "run", "align/finetune", "--param", f"spec={json.dumps(spec)}", "--watch")
    return watched(service, lambda: service.prefect(*run))


@pytest.fixture(scope="module")
def first(service: Service, asked: Asked, trained: Done) -> Done:
    """A night. A checkpoint has appeared, and just when the night begins somebody else asks for its audit."""
    place = drop(asked.model, service.workspace / "incoming" / "fresh", seed=1)

    def both() -> str:
        by_hand = service.start("audit/checkpoint", model=str(place), corpus=f"parquet:{asked.corpus}")
        night = service.start("nightly/audit", watch=str(asked.watch))
        for run in (by_hand, night):
            service.completed(run)
        return night

    return watched(service, both)


def test_a_training_from_the_shell_is_watched_to_its_end(service: Service, trained: Done) -> None:
    shell = trained.outcome
    assert shell.returncode == 0 and "Completed" in shell.stdout, shell.stdout + shell.stderr
    assert steps(trained.jobs) == {"embed": 2, "rank": 2, "train": 1}
    (made,) = (entry for entry in service.known("tiny").values() if entry.found.source == "align")
    assert made.found.parent == service.known("tiny")["tiny"].checkpoint and made.status == "candidate"
    assert Path(made.found.ref).is_relative_to(service.workspace / "checkpoints")


def test_the_night_audits_what_appeared_once_whoever_else_asks_for_it(service: Service, first: Done) -> None:
    assert steps(first.jobs) == {"embed": 1, "rank": 1}
    entries = service.known("tiny")
    outcomes = {name: [audit.outcome for audit in entry.audits] for name, entry in entries.items()}
    (made,) = (entry.name for entry in entries.values() if entry.found.source == "align")
    assert outcomes == {"tiny": ["measured"], made: ["measured", "unchanged"], "fresh": ["measured", "unchanged"]}
    fresh = entries["fresh"]
    assert (fresh.found.family, fresh.found.source) == ("tiny", "incoming")
    assert {audit.baseline for audit in fresh.audits} == {None, entries["tiny"].checkpoint}
    assert len({audit.out for audit in fresh.audits}) == 1


def test_every_audit_is_one_event(service: Service, first: Done) -> None:
    for entry in service.known("tiny").values():
        assert until(lambda entry=entry: service.events(entry.checkpoint)) == {"audited": 1}


def test_the_ui_shows_the_night_and_the_familys_history(service: Service, first: Done) -> None:
    artifacts = service.artifacts(first.outcome)
    assert artifacts["nightly"].startswith("## 2 audited; 1 known before")
    assert "| fresh |" in artifacts["history-tiny"] and "history-tiny-table" in artifacts
    for kind in ("verdict", "metrics", "report"):
        assert [key for key in artifacts if key.startswith(f"{kind}-fresh-on-")]


def test_the_next_night_computes_nothing(service: Service, asked: Asked, first: Done) -> None:
    jobs, entries = set(service.jobs()), service.known("tiny")
    run = service.completed(service.start("nightly/audit", watch=str(asked.watch)))["id"]
    assert set(service.jobs()) == jobs and service.known("tiny") == entries
    assert service.artifacts(run)["nightly"].startswith("## 0 audited; 3 known before")
    assert all(service.events(entry.checkpoint) == {"audited": 1} for entry in entries.values())


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"triples": "many"}, "'many' is not of type 'integer'"),
        ({"tripels": 24}, "'tripels' was unexpected"),
        ({"gate": {"margin": 2}}, "2 is greater than the maximum of 1"),
    ],
    ids=["type", "name", "range"],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(service: Service, spec: dict[str, Any], told: str) -> None:
    deployment = service.deployment("align/finetune")["id"]
    answer = service.api.post(f"/deployments/{deployment}/create_flow_run", json={"parameters": {"spec": spec}})
    assert answer.status_code == 409 and told in answer.text


def test_the_shell_says_so_without_a_traceback(service: Service) -> None:
    refused = service.prefect("deployment", "run", "align/finetune", "--param", 'spec={"triples": "many"}')
    assert refused.returncode == 1 and "Traceback" not in refused.stdout + refused.stderr
    assert "'spec.triples'" in refused.stdout + refused.stderr


def test_the_database_is_the_one_that_was_asked_for(service: Service, first: Done) -> None:
    sqlite = service.workspace / "prefect" / "prefect.db"
    assert sqlite.exists() != bool(os.environ.get(SWITCH))
