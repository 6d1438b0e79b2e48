"""What a checkpoint says that it is, and what follows: audited as such, or refused by its true name."""

from pathlib import Path

import pytest
from checkpoint_files import PLAIN, Files, as_json, write

from clir_core.errors import ModelError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve

BASE = "sentence_transformers.base.modules.transformer.Transformer"


def of(architecture: str, **more: object) -> Files:
    return {**PLAIN, "config.json": as_json({"model_type": "bert", "architectures": [architecture], **more})}


def saved(model_type: str, *types: str) -> Files:
    modules = [{"path": f"{i}_x" if i else "", "type": kind} for i, kind in enumerate(types)]
    said = {"model_type": model_type} if model_type else {}
    return {**PLAIN, "modules.json": as_json(modules), "config_sentence_transformers.json": as_json(said)}


def found(path: Path, **spec: object) -> Checkpoint:
    return resolve(str(path), EncodingSpec(**spec), Path("/dev/null"), "float32")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (of("BertForSequenceClassification"), "cross-encoder .reranker.*BertForSequenceClassification"),
        (of("XLMRobertaForTokenClassification"), "a token classifier"),
        (of("BertForQuestionAnswering"), "a reader"),
        (saved("CrossEncoder", BASE), "cross-encoder"),
        (of("BertForMaskedLM"), "a language model .BertForMaskedLM.*encoding.pooling"),
        (of("MT5ForConditionalGeneration"), "a language model"),
        (of("GPT2LMHeadModel"), "a language model"),
        ({**PLAIN, "config.json": as_json({"model_type": "model2vec"})}, "model2vec"),
    ],
)
def test_what_is_no_retriever_is_refused_by_what_it_is(files: Files, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model", files)
    with pytest.raises(ModelError, match=why):
        found(path)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (of("BertModel"), "dense"),
        (saved("SentenceTransformer", BASE), "dense"),
        (saved("", BASE), "dense"),
        (saved("SparseEncoder", BASE), "sparse"),
        (saved("", BASE, "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling"), "sparse"),
        (saved("MultiVectorEncoder", BASE), "multi_vector"),
        (saved("ColBERT", BASE), "multi_vector"),
        (saved("SentenceTransformer", BASE, "pylate.models.Dense.Dense"), "multi_vector"),
        (of("HF_ColBERT"), "multi_vector"),
        ({**of("BertModel"), "artifact.metadata": b"{}"}, "multi_vector"),
    ],
)
def test_the_kind_is_what_its_files_say(files: Files, kind: str, tmp_path: Path) -> None:
    assert found(write(tmp_path / "model", files)).kind == kind


def test_a_language_model_is_read_as_the_request_says(tmp_path: Path) -> None:
    path = write(tmp_path / "model", of("BertForMaskedLM"))
    checkpoint = found(path, pooling="cls")
    assert (checkpoint.kind, checkpoint.pooling, checkpoint.pooling_from) == ("dense", "cls", "the request")
    assert checkpoint.notes == ()


@pytest.mark.parametrize(
    ("files", "pooling"),
    [
        (of("BertModel"), "mean"),
        (of("Qwen3ForCausalLM"), "lasttoken"),
        (of("Qwen3ForCausalLM", is_causal=False), "mean"),
    ],
)
def test_a_guessed_pooling_is_said_and_is_another_identity_than_one_that_was_asked_for(
    files: Files, pooling: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "model", files)
    guess = found(path)
    assert (guess.pooling, guess.pooling_from) == (pooling, "a guess")
    assert f"was guessed: {pooling}; set encoding.pooling" in guess.notes[0]
    assert found(path, pooling=pooling).vectors == guess.vectors != found(path, pooling="max").vectors
