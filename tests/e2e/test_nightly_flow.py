"""The flow `nightly` on a directory into which checkpoints fall: each is audited once, whoever else is at it."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from clir_core.errors import NightlyError
from clir_core.registry.nightly import NightlySpec
from clir_core.registry.registry import Registry

GROUPS = 6


class Service:
    """A workspace with its watch list, and nights in it."""

    def __init__(self, place: Path, tiny_model: Path, corpus: Path, task_log: Callable[[], Any]) -> None:
        self.workspace, self.watch, self._tiny, self._log = place / "ws", place / "watch.yaml", tiny_model, task_log
        self.incoming = self.workspace / "incoming"
        family = {
            "name": "tiny", "baseline": str(tiny_model),
            "sources": [{"kind": "directory", "path": "incoming", "settle": 0}, {"kind": "aligned"}],
        }  # fmt: skip
        asked = {"corpus": f"parquet:{corpus}"}
        self.watch.write_text(yaml.safe_dump({"version": 1, "audit": asked, "families": [family]}), "utf-8")
        self.registry = Registry(self.workspace)
        self.spec = NightlySpec(watch=self.watch, workspace=self.workspace)

    def drop(self, name: str, seed: int) -> Path:
        """A checkpoint with other weights appears."""
        place = self.incoming / name
        shutil.copytree(self._tiny, place)
        torch.manual_seed(seed)
        weights = load_file(place / "model.safetensors")
        save_file(
            {key: value + 0.3 * torch.randn_like(value) for key, value in weights.items()}, place / "model.safetensors"
        )
        return place

    def night(self) -> tuple[Any, list[str]]:
        """The final state, and what was logged."""
        from flows.nightly import nightly

        with self._log() as lines:
            state = nightly(self.spec, return_state=True)
        return state, list(lines)

    def outcomes(self) -> dict[str, list[str]]:
        """What the registry says of every checkpoint's audits."""
        return {entry.name: [audit.outcome for audit in entry.audits] for entry in self.registry.entries()}


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: Path,
    demo_part: Callable[..., Path],
    prefect_api: str,
    ray_cluster: None,
    task_log: Callable[[], AbstractContextManager],
) -> Service:
    place = tmp_path_factory.mktemp("nightly")
    return Service(place, tiny_model, demo_part(place / "corpus", ("de",), GROUPS), task_log)


def encoded(lines: list[str]) -> int:
    return sum(int(line.split()[0].replace(",", "")) for line in lines if "texts encoded" in line)


# the nights follow one another in one workspace
@pytest.fixture(scope="module")
def first(service: Service) -> tuple[Any, list[str]]:
    """One checkpoint that is whole, one that cannot be loaded, one that is still being written."""
    service.drop("good", 1)
    (service.drop("broken", 2) / "config.json").write_text('{"model_type": "bert", "hidden_size": 7}', "utf-8")
    late = service.drop("late", 3) / "model.safetensors"
    late.write_bytes(late.read_bytes()[:-1])
    return service.night()


def test_one_that_fails_does_not_stop_the_others_and_the_night_says_so(first, service):
    state, _ = first
    error = state.result(raise_on_failure=False)
    assert state.is_failed() and isinstance(error, NightlyError)
    assert "1 of the night's checks failed, the other 2 audits are done" in str(error) and "  - broken: " in str(error)
    found = service.outcomes()
    assert found["tiny"] == ["measured"] and found["broken"] == ["failed"]
    assert found["good"][0] == "measured" and found["good"][1] in ("improved", "unchanged", "regressed")
    assert set(found) == {"tiny", "good", "broken"}


def test_what_is_not_complete_waits(first):
    (line,) = [line for line in first[1] if line.startswith("not yet: ")]
    assert "late: model.safetensors: has" in line


def test_it_was_held_against_the_familys_baseline(first, service):
    good, tiny = service.registry.find("good"), service.registry.find("tiny")
    judged = good.audits[-1]
    assert judged.baseline == tiny.checkpoint and judged.reason.startswith("Against tiny: ")
    assert good.found.family == tiny.found.family == "tiny"


def test_the_second_night_computes_nothing_and_audits_what_is_complete_now(first, service):
    shutil.rmtree(service.incoming / "broken")
    late = service.incoming / "late"
    shutil.rmtree(late)
    service.drop("late", 3)
    # the same weights at another place are the same checkpoint
    shutil.copytree(service.incoming / "good", service.incoming / "copy")
    state, lines = service.night()
    assert state.is_completed(), state.message
    assert [one.name for one in state.result().judged] == ["late"] and state.result().known == 2
    of_one = encoded(lines)
    state, lines = service.night()
    assert state.is_completed() and state.result().judged == () and encoded(lines) == 0
    assert of_one == 2 * GROUPS + queries(service)


def queries(service: Service) -> int:
    from clir_core.registry.watch import read_watch_list
    from clir_core.sources import read_corpus

    return len(read_corpus(read_watch_list(service.watch).audit.corpus).queries)


@pytest.mark.slow
def test_two_nights_at_once_audit_a_checkpoint_once(first, service):
    # other weights at a place that was audited already
    old = service.registry.find("late")
    figures = (old.audits[-1].out / "audit.json").read_bytes()
    shutil.rmtree(service.incoming / "late")
    service.drop("late", 5)
    with service._log() as lines, ThreadPoolExecutor(2) as threads:
        from flows.nightly import nightly

        states = list(threads.map(lambda _: nightly(service.spec, return_state=True), range(2)))
    assert all(state.is_completed() for state in states), [state.message for state in states]
    assert encoded(lines) == 2 * GROUPS + queries(service)
    (new,) = [one for one in service.registry.entries() if one.name == "late" and one.checkpoint != old.checkpoint]
    assert new.audits[0].outcome == "measured" and len(new.audits) == 2
    assert new.audits[-1].out != old.audits[-1].out
    assert (old.audits[-1].out / "audit.json").read_bytes() == figures


def test_an_audit_by_hand_of_what_the_night_knows_is_no_second_one(first, service):
    from clir_core.registry.watch import read_watch_list
    from flows.audit import audit

    before = service.outcomes()
    spec = read_watch_list(service.watch).audit.model_copy(
        update={"model": str(service.incoming / "good"), "workspace": service.workspace}
    )
    with service._log() as lines:
        assert audit(spec, return_state=True).is_completed()
    assert encoded(lines) == 0 and service.outcomes() == before


@pytest.mark.parametrize("what", [pytest.param("changed", marks=pytest.mark.slow), "vanished"])
def test_a_checkpoint_that_changes_during_its_audit_fails_it(first, service, what, monkeypatch):
    from clir_core.jobs.workers import RayWorkers

    place, inner = service.drop(what, 8 if what == "changed" else 9), RayWorkers.embed

    def meddle(*values: Any) -> Any:
        if what == "vanished":
            shutil.rmtree(place)
        else:
            (place / "config.json").write_text((place / "config.json").read_text("utf-8") + " ", "utf-8")
        return inner(*values)

    monkeypatch.setattr(RayWorkers, "embed", meddle)
    state, _ = service.night()
    assert state.is_failed()
    entry = service.registry.find(what)
    assert entry.audits[-1].outcome == "failed" and f"{what} " in entry.audits[-1].reason
    assert "while it was being read" in entry.audits[-1].reason
    shutil.rmtree(place, ignore_errors=True)


def test_the_ui_has_one_summary_and_the_familys_history(first, service):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[first[0].state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        artifacts = {found.key: found.data for found in client.read_artifacts(artifact_filter=mine) if found.key}
    assert set(artifacts) == {"nightly", "history-tiny", "history-tiny-table"}
    assert artifacts["nightly"].startswith("## 3 audited, ") and "1 failed" in artifacts["nightly"]
    assert "| good |" in artifacts["history-tiny"]


def test_two_checkpoints_are_compared_by_name(first, service):
    from clir_core.registry.compare_spec import CompareSpec
    from flows.compare import compare

    state = compare(CompareSpec(after="good", workspace=service.workspace), return_state=True)
    assert state.is_completed(), state.message
    found, judged = state.result(), service.registry.find("good").audits[-1]
    assert (found.before, found.after, found.outcome) == ("tiny", "good", judged.outcome)
    assert found.audits[1] == judged.out
    state = compare(CompareSpec(after="tiny", workspace=service.workspace), return_state=True)
    assert "tiny is the first of the family tiny; say what to hold it against" in state.message


def test_the_registry_is_told_from_the_shell(first, service, clir):
    place = ("--workspace", service.workspace)
    rows = json.loads(clir("history", *place, "--format", "json").stdout)["tiny"]
    good = next(row for row in rows if row["checkpoint"] == "good")
    audit = json.loads((service.registry.find("good").audits[-1].out / "audit.json").read_text("utf-8"))
    (english,) = [
        row for row in audit["metrics"] if (row["scenario"], row["lang"], row["metric"]) == ("mono", "en", "acc@1")
    ]
    (german,) = [
        row for row in audit["metrics"] if (row["scenario"], row["lang"], row["metric"]) == ("mono", "de", "acc@1")
    ]
    assert good["mono acc@1"] == pytest.approx((english["value"] + german["value"]) / 2, abs=1e-4)
    said = clir("promote", "good", *place, "--reason", "It reads well.")
    assert said.returncode == 0 and "promoted, It reads well." in said.stdout, said.stderr
    entry = service.registry.find("good")
    assert entry.status == "promoted" and service.registry.promoted("tiny") == entry
    shown = clir("show", "good", *place).stdout
    assert "It reads well." in shown and entry.checkpoint in shown
    wrong = clir("show", "nobody", *place)
    assert wrong.returncode == 1 and "no checkpoint is called 'nobody'; there are tiny" in wrong.stderr
    watched = json.loads(clir("watch", "--watch", service.watch, *place, "--format", "json").stdout)
    assert {one["label"] for one in watched["seen"]} >= {"good", "copy"}


@pytest.mark.slow
def test_a_correction_is_offered_for_one_that_regressed(first, service, monkeypatch):
    from clir_core.measure import gate

    listed = yaml.safe_load(service.watch.read_text("utf-8"))
    listed["families"][0]["offer"] = {"correction": "mean+hub", "correction_fit": "demo#train"}
    service.watch.write_text(yaml.safe_dump(listed), "utf-8")
    shutil.rmtree(service.incoming / "broken", ignore_errors=True)
    service.drop("worse", 11)
    # so few questions show no loss
    monkeypatch.setattr(gate, "outcome", lambda *_: "regressed")
    state, lines = service.night()
    (worse,) = (one for one in state.result().judged if one.name == "worse")
    assert worse.outcome == "regressed"
    assert worse.offer.startswith("Offered at once, without training: correction mean+hub. ")
    assert f"worse: {worse.offer}" in lines
    # nothing of the checkpoint is embedded a second time but what the correction is fitted on
    assert service.outcomes()["worse"][:2] == ["measured", "regressed"]
