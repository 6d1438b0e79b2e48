"""An alignment as a plain function, in this process alone."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from layouts_case import made

from clir_core.align.spec import AlignSpec, LossSpec, OptimiserSpec
from clir_core.audit.spec import AuditSpec
from clir_core.errors import AlignError, SpecError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder
from clir_core.registry.nightly import NightlySpec
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList
from clir_core.report.alignment_outputs import read_alignment, read_audit
from clir_core.runs import align as run
from clir_core.runs.audit import audit
from clir_core.runs.doctor import examine
from clir_core.runs.here import Here
from clir_core.runs.nightly import find_due
from clir_core.runs.runner import Runner
from clir_core.runs.train import run_directory
from clir_core.sources import read_corpus
from clir_core.workspace import layout


def audit_here(_: str, spec: AuditSpec) -> Path:
    return audit(spec, Here(), Runner()).out


@pytest.fixture(scope="module")
def spec(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> AlignSpec:
    return AlignSpec(
        base=str(tiny_model),
        languages=("de",),
        triples=16,
        loss="infonce",
        optimiser=OptimiserSpec(batch=8, query_tokens=16, passage_tokens=16),
        held_out=0.0,
        workspace=tmp_path_factory.mktemp("workspace"),
    )


def test_a_head_is_fitted_to_bare_texts_in_languages_that_nothing_else_trains(spec: AlignSpec, tmp_path: Path) -> None:
    texts = spec.model_copy(update={"loss": LossSpec(), "head_texts": ("demo#train",), "workspace": tmp_path})
    done = run.align(texts, Here(), Runner(), audit_here).result
    assert done.spec.head_texts == ("demo#train",) and not done.trained.steps
    after = read_audit(done.audit_after)
    assert after.exposure and after.exposure.seen == ("demo#train",)
    base, made = (load_encoder(resolve(ref, EncodingSpec(), tmp_path / "models", "float32")) for ref in
                  (spec.base, str(done.trained.checkpoint)))  # fmt: skip
    found = read_corpus("demo#train", ("zh",)).documents
    in_chinese = [row["text"] for row in found.select(["lang", "text"]).to_pylist() if row["lang"] == "zh"]
    lengths = [np.linalg.norm(encoder.encode(in_chinese, "document").mean(axis=0)) for encoder in (base, made)]
    assert lengths[1] < 0.7 * lengths[0]  # half of what they share, being Chinese, is gone
    # other texts are another training
    other = run_directory(texts.model_copy(update={"head_texts": ()}), *_base_and_triples(texts, tmp_path))
    assert other.name != done.trained.name


def _base_and_triples(spec: AlignSpec, workspace: Path) -> tuple[Checkpoint, pa.Table]:
    return resolve(spec.base, EncodingSpec(), workspace / "models", "float32"), run.read(spec)


def test_it_trains_proves_and_registers_without_prefect_or_ray(
    spec: AlignSpec, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    runner = Runner()
    done = run.align(spec, Here(), runner, audit_here, by="me")
    assert {file.name for file in done.out.iterdir()} == set(layout.ALIGNMENT_FILES)
    assert not [finding for finding in examine(spec.workspace) if finding.is_damage]
    assert read_alignment(done.out) == done.result and len(done.result.trained.steps) == 2
    # said before the training: what so few questions cannot decide
    assert "6 languages: a mean monolingual loss of 0.010 can" in done.result.foresight
    said = caplog.messages.index(done.result.foresight)
    assert not any("weights after step" in message for message in caplog.messages[:said])
    assert done.news and done.news.status == done.result.decision.status
    entry = Registry(spec.workspace).get(done.result.digest)
    assert entry and entry.found.parent == done.result.base_digest
    # and a second time nothing is trained
    again = Runner()
    assert run.align(spec, Here(), again, audit_here).result.trained == done.result.trained
    assert again.timings["train"] == 0 < runner.timings["train"]


@pytest.mark.slow
def test_an_adapter_of_a_decoder_is_found_by_the_nightly_wherever_it_is_put(spec: AlignSpec, tmp_path: Path) -> None:
    """Small Qwen3 with left padding: trained, exported, audited, moved, found, audited again to the same figures."""
    base = made("qwen3, left", tmp_path / "made")
    lora = AlignSpec.model_validate(spec.model_dump() | {"adapter": "lora", "base": str(base)})
    done = run.align(lora, Here(), Runner(), audit_here)
    place = layout.checkpoints(spec.workspace) / done.result.name
    assert (place / "README.md").exists() and (place / "adapter_config.json").exists()
    assert not (place / "model.safetensors").exists()
    # what the registry names is the checkpoint itself, not what it was loaded from
    assert done.entry.found.ref == str(place.resolve()) and done.entry.checkpoint == done.result.digest
    shutil.copytree(place, tmp_path / "incoming" / "step-2")
    source = {"kind": "directory", "path": str(tmp_path / "incoming"), "settle": 0}
    watch = WatchList.model_validate(
        {
            "version": 1,
            "audit": {"corpus": spec.evaluation, "languages": ["de"], "scenarios": ["mono"], "seed": spec.seed},
            "families": [{"name": "decoders", "sources": [source]}],
        }
    )
    night = NightlySpec(workspace=tmp_path / "night")
    discovered, (due,), known = find_due(night, watch, "asked")
    assert (discovered.waiting, discovered.problems, known, due.checkpoint) == ((), (), 0, done.result.digest)
    first, again = read_audit(done.out / layout.AFTER), read_audit(audit(due.audit, Here(), Runner()).out)
    before, after = (
        # the nightly does not know what was trained on
        {(one.lang, one.metric): one.value for one in metrics if one.scenario == "mono"}
        for metrics in (first.metrics_with_seen, again.metrics)
    )
    assert after and after == {key: pytest.approx(before[key], abs=1e-9) for key in after}


def test_several_workers_need_a_cluster(spec: AlignSpec) -> None:
    with pytest.raises(AlignError, match="2 workers need a Ray cluster"):
        run.align(spec.model_copy(update={"workers": 2}), Here(), Runner(), audit_here)


def test_what_is_wrong_is_said_before_anything_is_computed(spec: AlignSpec) -> None:
    run.check(spec)
    with pytest.raises(AlignError, match="Train on another part"):
        run.check(spec.model_copy(update={"train": "demo#test"}))
    with pytest.raises(SpecError, match="pull cannot be the primary metric"):
        run.check(spec.model_copy(update={"gate": spec.gate.model_copy(update={"metric": "pull"})}))
