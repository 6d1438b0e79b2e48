"""The flow `align` from a checkpoint to a better one, with a random little model: what it makes, reuses and refuses."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from message_case import says, snapshot

from clir_core.align.result import AlignResult
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import AuditResult
from clir_core.errors import ClirError
from clir_core.model.checkpoint import resolve
from clir_core.registry.registry import Registry

GROUPS = 6  # all of the demo corpus's first topic, which is in its test split
FILES = {"align.json", "report.html", "checkpoint", "before", "after", "triples.parquet", "SHA256SUMS"}
FINISHED = "was finished on"


@dataclass(frozen=True)
class Run:
    """One alignment run: what it was asked, where it went, what it said, and what Prefect knows it as."""

    spec: AlignSpec
    out: Path
    result: AlignResult
    log: list[str]
    flow_run_id: Any

    def audit(self, when: str) -> AuditResult:
        """The audit `before` or `after`."""
        return AuditResult.model_validate_json((self.out / when / "audit.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, demo_part: Callable[..., Path]) -> Path:
    """Where these runs live: corpus/ in English, German and Spanish, and the workspace."""
    place = tmp_path_factory.mktemp("alignments")
    demo_part(place / "corpus", ("de", "es"), GROUPS)
    return place


@pytest.fixture(scope="module")
def asked(place: Path, tiny_model: Path) -> dict[str, Any]:
    """Three steps on German triples of the demo corpus."""
    return {
        "base": str(tiny_model),
        "train": "demo#train",
        "evaluation": f"parquet:{place / 'corpus'}",
        "languages": ("de",),
        "triples": 24,
        "loss": "infonce",
        "optimiser": {"batch": 8, "learning_rate": 0.01},
        "held_out": 0.0,
        "workspace": place / "workspace",
        "out": place / "first",
    }


@pytest.fixture(scope="module")
def run_align(prefect_api: str, ray_cluster: None) -> Callable[..., Any]:
    """Run the flow `align` in this process. Returns its final state, whatever that is."""
    from flows.align import align

    return lambda spec: align(spec, return_state=True)


@pytest.fixture(scope="module")
def go(
    asked: dict[str, Any], run_align: Callable[..., Any], task_log: Callable[[], AbstractContextManager]
) -> Callable[..., Run]:
    """Run an alignment that goes well."""

    def go(**changed: Any) -> Run:
        spec = AlignSpec.model_validate(asked | changed)
        with task_log() as log:
            state = run_align(spec)
        assert state.is_completed(), state.message
        out = state.result().out
        result = AlignResult.model_validate_json((out / "align.json").read_text("utf-8"))
        return Run(spec, out, result, list(log), state.state_details.flow_run_id)

    return go


# each of these goes on where the one before ended, in one workspace
@pytest.fixture(scope="module")
def first(go: Callable[..., Run]) -> Run:
    return go()


@pytest.fixture(scope="module")
def again(first: Run, go: Callable[..., Run]) -> Run:
    return go()


@pytest.fixture(scope="module")
def looser(again: Run, go: Callable[..., Run], place: Path) -> Run:
    """The same training, held against a gate that lets everything be lost."""
    return go(gate={"margin": 1.0}, out=place / "looser")


def test_every_file_is_there_and_nothing_else(first):
    assert {path.name for path in first.out.iterdir()} == FILES
    assert pq.read_table(first.out / "triples.parquet").num_rows == 24


def test_the_steps_have_names_that_show_the_shape(first):
    assert list(first.result.timings) == [
        *("read training data", "check contamination", "resolve base", "check output", "look for exposure"),
        *("audit before", "check gate", "train", "keep checkpoint", "audit after", "compare and decide"),
    ]
    assert first.result.timings["train"] > 0
    assert not [line for line in first.log if FINISHED in line]


def test_the_checkpoint_is_an_ordinary_directory_with_other_weights(first, tiny_model):
    from sentence_transformers import SentenceTransformer

    texts = ["A text.", "Ein anderer Text."]
    tuned = SentenceTransformer(str(first.out / "checkpoint"), device="cpu")
    base = SentenceTransformer(str(tiny_model), device="cpu")
    assert tuned.prompts == base.prompts
    assert tuned.encode(texts).shape == (2, 32)
    assert not np.allclose(tuned.encode(texts), base.encode(texts), atol=1e-3)
    checkpoint = resolve(str(first.out / "checkpoint"), first.spec.encoding, first.spec.workspace, "float32")
    assert checkpoint.vectors == first.result.model_fingerprint != first.result.base_fingerprint
    assert checkpoint.digest == first.result.digest != first.result.base_digest


def test_the_card_beside_it_has_verdict_and_data(first):
    card = (first.out / "checkpoint" / "README.md").read_text("utf-8")
    assert card.startswith("---\n") and "library_name: sentence-transformers" in card
    assert all(sentence in card for sentence in first.result.verdict)
    assert "24 triples" in card and "German (de)" in card and "Spanish (es, not trained)" in card


def test_both_audits_are_there_in_all_languages_and_paired(first):
    before, after = first.audit("before"), first.audit("after")
    assert before.languages == after.languages == ("en", "de", "es")
    assert before.provenance.model_fingerprint == first.result.base_fingerprint
    assert after.provenance.model_fingerprint == first.result.model_fingerprint
    paired = {(row.scenario, row.query_lang, row.lang, row.metric): row for row in first.result.differences}
    values = [
        {
            (row.scenario, row.query_lang, row.lang, row.metric): row.value
            for row in audit.metrics
            if "pull" not in row.metric
        }
        for audit in (before, after)
    ]
    for key, old in values[0].items():
        assert paired[key].difference == pytest.approx(values[1][key] - old, abs=1e-9)
    assert first.result.audit_before == first.out / "before"


def test_the_gate_is_asked_about_every_audited_language(first):
    assert {(row.lang, row.query_lang) for row in first.result.decision.primary} == {
        *{("de", "de"), ("de", "en"), ("es", "es"), ("es", "en")},
    }
    assert {row.lang for row in first.result.decision.mono} == {"en", "de", "es"}
    assert first.result.verdict[-1] == f"{first.result.decision.status.capitalize()}: {first.result.decision.reason}"


def test_the_report_holds_the_verdict(first):
    import html

    page = html.unescape((first.out / "report.html").read_text("utf-8"))
    assert first.result.verdict[0] in page


def test_the_registry_has_the_checkpoint_with_the_reason(first):
    base, entry = Registry(first.spec.workspace).entries()
    assert (entry.name, entry.status) == (first.result.name, entry.history[0].status)
    assert entry.history[0].reason == first.result.decision.reason
    assert entry.checkpoint == first.result.digest
    place = Path(entry.found.ref)
    assert place.name == entry.name and (place / "README.md").exists()
    assert resolve(str(place), first.spec.encoding, first.spec.workspace, "float32").digest == entry.checkpoint
    # both audits are registered, and what it was made from
    assert entry.found.parent == base.checkpoint == first.result.base_digest
    assert entry.found.family == base.found.family == "tiny"
    assert [len(one.audits) for one in (base, entry)] == [1, 1]
    assert entry.audits[0].asked == base.audits[0].asked


def test_asking_again_trains_nothing_and_says_so(first, again):
    assert len([line for line in again.log if FINISHED in line and "its result is used" in line]) == 1
    assert [line for line in again.log if "texts encoded" in line and not line.startswith("0 ")] == []
    assert again.result.timings["train"] == 0
    assert again.result.trained == first.result.trained
    assert again.result.differences == first.result.differences
    assert {path.name for path in again.out.iterdir()} == FILES


def test_another_gate_gives_the_same_weights_another_status(again, looser):
    assert looser.result.trained.name == again.result.trained.name
    assert len([line for line in looser.log if FINISHED in line]) == 1
    _, entry = Registry(looser.spec.workspace).entries()
    # what is decided alike is decided once
    reasons = dict.fromkeys([again.result.decision.reason, looser.result.decision.reason])
    assert [change.reason for change in entry.history] == list(reasons)


def test_the_prefect_ui_shows_verdict_table_link_and_progress(first):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[first.flow_run_id]))
    with get_client(sync_client=True) as client:
        artifacts = {found.key: found for found in client.read_artifacts(artifact_filter=mine)}
    assert {key: artifact.type for key, artifact in artifacts.items()} == {
        "alignment-tiny-demo-train-corpus": "markdown",
        "before-after-tiny-demo-train-corpus": "table",
        "alignment-report-tiny-demo-train-corpus": "markdown",  # Prefect keeps a link as markdown
        "train": "progress",
    }
    verdict = artifacts["alignment-tiny-demo-train-corpus"].data
    assert all(sentence in verdict for sentence in first.result.verdict) and first.result.name in verdict
    rows = json.loads(artifacts["before-after-tiny-demo-train-corpus"].data)
    assert {"before", "after", "difference", "low", "high", "p_holm"} <= set(rows[0])
    assert (first.out / "report.html").as_uri() in artifacts["alignment-report-tiny-demo-train-corpus"].data
    assert artifacts["train"].data == 100.0


@pytest.fixture
def fails(first: Run, asked: dict[str, Any], run_align: Callable[..., Any], place: Path) -> Callable[..., str]:
    """Ask for what cannot be done. Returns the one message, having checked all that holds for every failure."""

    def run(**changed: Any) -> str:
        spec = AlignSpec.model_validate(asked | changed)
        kept = [first.out, first.spec.workspace / "checkpoints", first.spec.workspace / "registry"]
        before = [snapshot(directory) for directory in kept]
        state = run_align(spec)
        error = state.result(raise_on_failure=False)
        assert isinstance(error, ClirError), repr(error)
        assert state.is_failed() and str(error) in state.message
        assert [snapshot(directory) for directory in kept] == before
        return str(error)

    return run


def test_training_on_what_is_tested(fails, place):
    message = fails(train=f"parquet:{place / 'corpus'}", triples=2, optimiser={"batch": 2})
    says(message, "evaluation corpus corpus", "passage bees-", "query bees-", "its id in 1 triples")
    says(message, "Train on another part", "allow_contamination")


def test_fewer_triples_than_a_batch(fails):
    message = fails(train="demo#train", optimiser={"batch": 64}, triples=64)
    says(message, "48 triples are fewer than a batch of 64", "add triples or languages")


def test_a_language_that_the_training_data_lacks(fails):
    says(fails(languages=("de", "fr")), "demo", "'fr' is not in the corpus", "ask for one of these")


def test_a_gate_language_that_the_evaluation_lacks(fails):
    says(fails(gate={"languages": ("zh",)}), "of the gate", "'zh' is not in the corpus", "ask for one of these")


def test_a_gate_that_no_audit_answers(fails):
    says(fails(gate={"metric": "lpr"}), "gate: lpr cannot be the primary metric", "complete@10")


def test_a_directory_of_another_run(fails, first):
    message = fails(seed=1)
    says(message, first.out, f"belongs to another run, {first.result.name}", "set `out` to another directory")


def test_a_directory_that_cannot_be_written(fails, tmp_path):
    (tmp_path / "taken").write_text("mine")
    says(fails(out=tmp_path / "taken"), tmp_path / "taken", "check that it exists and is yours")


def test_a_base_without_weights(fails, tmp_path):
    says(fails(base=str(tmp_path)), tmp_path, "has no weights (*.safetensors)")


def options(asked: dict[str, Any]) -> list[str]:
    """The console's arguments for what is asked."""
    flat = {name: value for name, value in asked.items() if name != "optimiser"} | {"languages": "de"}
    flat |= {f"optimiser.{name}": value for name, value in asked["optimiser"].items()}
    return ["align", *(part for name, value in flat.items() for part in (f"--{name.replace('_', '-')}", str(value)))]


@pytest.mark.slow
def test_the_console_prints_table_verdict_and_where_things_are(clir, looser, asked):
    done = clir(*options(asked))
    assert done.returncode == 0, done.stderr
    result = AlignResult.model_validate_json((asked["out"] / "align.json").read_text("utf-8"))
    assert "multi complete@10, X query" in done.stdout and "Spanish (es, not trained)" in done.stdout
    assert all(sentence in done.stdout for sentence in result.verdict)
    assert f"Report: {asked['out'] / 'report.html'}" in done.stdout
    assert f"Checkpoint: {asked['out'] / 'checkpoint'}" in done.stdout
    assert f"as {result.name}: {result.decision.status}" in done.stdout
    assert FINISHED in done.stderr and "Traceback" not in done.stderr


def test_the_console_prints_the_message_once_and_exits_with_1(clir, first, asked, place):
    changed = {"train": f"parquet:{place / 'corpus'}", "triples": 2, "optimiser": {"batch": 2}, "out": place / "never"}
    done = clir(*options(asked | changed))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("clir: ") == 1 and "Traceback" not in done.stderr
    says(done.stderr.partition("clir: ")[2], "passage bees-", "allow_contamination")
    assert done.stderr.count("Train on another part") == 1
    # it is refused before Prefect or Ray start
    assert "prefect" not in done.stderr.lower() and not (place / "never").exists()
