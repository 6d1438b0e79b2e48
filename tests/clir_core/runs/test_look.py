"""A look at checkpoints, and whether they still give what an audit was made of."""

import json
import shutil
from pathlib import Path

import pytest
from checkpoint_files import PLAIN, as_json, write

from clir_core.audit.spec import AuditSpec
from clir_core.errors import ModelError, SpecError
from clir_core.model.checkpoint import EncodingSpec
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.look import look
from clir_core.runs.runner import Runner
from clir_core.runs.verify import verify
from clir_core.workspace import layout


@pytest.fixture(scope="module")
def copy(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_model, tmp_path_factory.mktemp("copy") / "tiny")


@pytest.fixture(scope="module")
def spec(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditSpec:
    return AuditSpec(
        model=str(copy), languages=("de",), scenarios=("mono",), workspace=tmp_path_factory.mktemp("workspace")
    )


@pytest.fixture(scope="module")
def result(spec: AuditSpec) -> Path:
    return audit(spec, Here(), Runner()).out


def test_each_checkpoint_below_a_directory_is_read_or_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "run" / "checkpoint-10")
    reranker = as_json({"model_type": "bert", "architectures": ["BertForSequenceClassification"]})
    write(tmp_path / "run" / "reranker", {**PLAIN, "config.json": reranker})
    step, other = look(str(tmp_path / "run"), EncodingSpec(), tmp_path / "workspace")
    assert (step.ref, step.refused) == (str(tmp_path / "run" / "checkpoint-10"), "")
    assert step.reading
    reading = step.reading.model_dump(exclude={"notes"})
    assert reading == {
        "kind": "dense", "query_prompt": "query: ", "document_prompt": "passage: ", "prompts_from": "the checkpoint",
        "pooling": "mean", "pooling_from": "the checkpoint", "query_tokens": 128, "document_tokens": 128,
        "own_tokens": {},
        "dimension": 32, "dtype": "float32", "normalized": True, "adapter_of": "",
    }  # fmt: skip
    assert other.reading is None and "cross-encoder" in other.refused


def test_an_audit_says_how_its_model_was_read_and_what_was_odd(result: Path) -> None:
    provenance = json.loads((result / layout.AUDIT).read_text())["provenance"]
    assert (provenance["reading"]["pooling"], provenance["reading"]["dimension"]) == ("mean", 32)
    assert len(provenance["canary"]["vectors"]) == 5
    page = (result / layout.REPORT).read_text()
    assert "How the model was read" in page and "mean, from the checkpoint" in page


def test_an_environment_that_gives_the_same_vectors_is_verified(result: Path, spec: AuditSpec) -> None:
    verified = verify(result, spec.workspace)
    assert (verified.same_checkpoint, verified.same_vectors, verified.distance) == (True, True, 0)
    assert "gives the same vectors as then" in verified.sentence()


def test_one_that_gives_others_is_told_and_its_vectors_meet_no_others(
    result: Path, spec: AuditSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library that changed would do it: the files are the same, the vectors are not."""
    from sentence_transformers.sentence_transformer.modules import Pooling

    forward = Pooling.forward

    def other(self: Pooling, features: dict, **options: object) -> dict:
        found = forward(self, features, **options)
        found["sentence_embedding"] = found["sentence_embedding"].roll(1, dims=1)
        return found

    monkeypatch.setattr(Pooling, "forward", other)
    verified = verify(result, spec.workspace)
    assert (verified.same_checkpoint, verified.same_vectors) == (True, False)
    assert "gives OTHER vectors than then" in verified.sentence()
    with pytest.raises(ModelError, match="gives other vectors here than those that the workspace holds of it"):
        audit(spec.model_copy(update={"languages": ("es",)}), Here(), Runner())


def test_what_is_no_audit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no audit"):
        verify(tmp_path, tmp_path)
