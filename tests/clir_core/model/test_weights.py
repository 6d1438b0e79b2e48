"""Weights must be those of the model: a library would draw the others at random and say so in a log alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clir_core.errors import ModelError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import Encoder, load_encoder

Weights = dict[str, Tensor]


def changed(tiny_model: Path, place: Path, change: Callable[[Weights], Weights]) -> Path:
    """The tiny checkpoint with other weights in its file."""
    path = shutil.copytree(tiny_model, place / "model")
    file = path / "model.safetensors"
    save_file({name: value.contiguous() for name, value in change(load_file(file)).items()}, file, {"format": "pt"})
    return path


def loaded(path: Path, cache: Path = Path("/dev/null"), **spec: object) -> Encoder:
    return load_encoder(resolve(str(path), EncodingSpec(**spec), cache, "float32"))


def prefixed(prefix: str) -> Callable[[Weights], Weights]:
    return lambda weights: {prefix + name: value for name, value in weights.items()}


def with_more(name: str, *shape: int) -> Callable[[Weights], Weights]:
    return lambda weights: {**weights, name: torch.ones(shape)}


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: value for name, value in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (prefixed("_orig_mod."), r"every name that fits nothing begins with '_orig_mod.': torch.compile"),
        (prefixed("module."), r"every name that fits nothing begins with 'module.': DataParallel"),
        (prefixed("model.encoder_q."), r"every name that fits nothing begins with 'model\.': a wrapper"),
        (prefixed("backbone."), r"every name that fits nothing begins with 'backbone.': strip that"),
        (without("layer.1."), r"16 are missing \(encoder.layer.1.attention.*the file is incomplete"),
        (without("word_embeddings"), r"1 are missing \(embeddings.word_embeddings.weight\)"),
        (
            with_more("encoder.layer.2.output.dense.weight", 4, 4),
            r"1 fit nothing \(encoder.layer.2.output.dense.weight",
        ),
        (with_more("projection.weight", 4, 4), r"1 fit nothing \(projection.weight\)"),
        (with_more("encoder.layer.0.output.dense.lora_A.weight", 4, 4), r"an adapter's weights lie in a model's file"),
        (
            lambda weights: {**weights, "embeddings.word_embeddings.weight": torch.ones(7, 32)},
            r"have another shape \(embeddings.word_embeddings.weight: \[7, 32\] in the file, \[260, 32\] in the model",
        ),
    ],
)
def test_weights_of_another_model_are_refused_with_the_likely_cause(
    change: Callable[[Weights], Weights], why: str, tiny_model: Path, tmp_path: Path
) -> None:
    path = changed(tiny_model, tmp_path, change)
    with pytest.raises(ModelError, match=why) as caught:
        loaded(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "head",
    ["cls.predictions.bias", "lm_head.weight", "classifier.out_proj.bias", "pooler.dense.weight", "score.weight"],
)
def test_a_head_of_another_task_changes_nothing(head: str, tiny_model: Path, tmp_path: Path) -> None:
    path = changed(tiny_model, tmp_path, with_more(head, *((32, 32) if "pooler" in head else (4, 4))))
    texts = ["Wo leben Bienen?", "Where?"]
    assert np.array_equal(loaded(path).encode(texts, "query"), loaded(tiny_model).encode(texts, "query"))


def test_weights_of_a_pretraining_model_are_read_below_their_prefix(tiny_model: Path, tmp_path: Path) -> None:
    path = changed(tiny_model, tmp_path, prefixed("bert."))
    assert np.array_equal(loaded(path).encode(["Wo?"], "query"), loaded(tiny_model).encode(["Wo?"], "query"))


def test_a_token_without_a_row_is_named(tiny_model: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny_model, tmp_path / "model")
    said = json.loads((path / "tokenizer.json").read_text())
    one = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    said["added_tokens"].append({"id": 260, "content": "Bienen", **one})
    (path / "tokenizer.json").write_text(json.dumps(said))
    encoder = loaded(path)
    encoder.encode(["Where?"], "query")
    with pytest.raises(ModelError, match=r"token 260 for 'Wo leben Bienen\?', and the embedding matrix has 260 rows"):
        encoder.encode(["Where?", "Wo leben Bienen?"], "query")


def test_texts_are_cut_where_positions_end_whatever_the_length_says(tiny_model: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny_model, tmp_path / "model")
    (path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256}))
    long = "bees " * 100
    vectors, is_cut = loaded(path).encode_telling_cuts([long], "document")
    assert is_cut.all() and np.array_equal(vectors, loaded(tiny_model).encode([long], "document"))


def test_a_pooling_that_is_asked_for_is_that_of_the_vectors(tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    model = SentenceTransformer(str(tiny_model), device="cpu")
    model[1] = Pooling(32, "cls")
    right = model.encode_document(["Bees."], normalize_embeddings=True)
    encoder = loaded(tiny_model, pooling="cls")
    assert encoder.pooling == "cls"
    np.testing.assert_allclose(encoder.encode(["Bees."], "document"), right, atol=1e-6)


def test_a_checkpoint_without_its_words_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """transformers would make a tokenizer that knows none: every text would be its length."""
    path = shutil.copytree(tiny_model, tmp_path / "model")
    (path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"model has no tokenizer \(tokenizer.json"):
        loaded(path)


def test_modules_in_another_order_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = shutil.copytree(tiny_model, tmp_path / "model")
    modules = json.loads((path / "modules.json").read_text())
    (path / "modules.json").write_text(json.dumps(modules[::-1]))
    with pytest.raises(ModelError, match="its first module is Normalize, which reads no texts"):
        loaded(path)
