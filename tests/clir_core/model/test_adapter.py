"""Adapters: loaded with their base to the vectors that PEFT and sentence-transformers give, refused without it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from clir_core.errors import ModelError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, check_unchanged, resolve
from clir_core.model.encoder import load_encoder

TEXTS = ["Wo leben Bienen?", "Where do bees live?", "蜜蜂", "bees " * 60]
ONLY = ("adapter_config.json", "adapter_model.safetensors")


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_model, tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As sentence-transformers saves one: modules and tokenizer, no weights of the base."""
    import torch
    from peft import LoraConfig

    model = SentenceTransformer(str(base), device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"], init_lora_weights=False))
    path = tmp_path_factory.mktemp("adapter") / "adapter"
    model.save_pretrained(str(path), create_model_card=False)
    assert not (path / "model.safetensors").exists()
    return path


@pytest.fixture(scope="module")
def right(adapter: Path) -> np.ndarray:
    """sentence-transformers' own vectors, with length 1."""
    return SentenceTransformer(str(adapter), device="cpu").encode_query(TEXTS, normalize_embeddings=True)


def found(path: Path, cache: Path) -> Checkpoint:
    return resolve(str(path), EncodingSpec(), cache, "float32")


def vectors(path: Path, cache: Path) -> np.ndarray:
    return load_encoder(found(path, cache)).encode(TEXTS, "query")


def moved_to(adapter: Path, base: str, place: Path) -> Path:
    """A copy that names another base."""
    path = shutil.copytree(adapter, place)
    config = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
    return path


def test_an_adapter_gives_the_vectors_of_sentence_transformers(
    adapter: Path, base: Path, right: np.ndarray, tmp_path: Path
) -> None:
    np.testing.assert_allclose(vectors(adapter, tmp_path), right, atol=1e-6)
    plain = load_encoder(found(base, tmp_path)).encode(TEXTS, "query")
    assert (np.sum(plain * right, axis=1) < 0.999).all()
    checkpoint = found(adapter, tmp_path)
    assert (checkpoint.name, checkpoint.base) == ("adapter", base.resolve())
    check_unchanged(checkpoint, tmp_path)


def test_an_adapter_alone_is_read_as_its_base_is(adapter: Path, base: Path, right: np.ndarray, tmp_path: Path) -> None:
    """What PEFT itself writes: no modules, no tokenizer, no prompts."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ONLY:
        shutil.copy(adapter / name, bare / name)
    np.testing.assert_allclose(vectors(bare, tmp_path / "cache"), right, atol=1e-6)
    assert found(bare, tmp_path / "cache").query_prompt == found(base, tmp_path / "cache").query_prompt == "query: "


def test_full_weights_beside_an_adapter_are_not_those_that_are_read(
    adapter: Path, base: Path, right: np.ndarray, tmp_path: Path
) -> None:
    both = shutil.copytree(adapter, tmp_path / "both")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(base / name, both / name)
    np.testing.assert_allclose(vectors(both, tmp_path / "cache"), right, atol=1e-6)


def test_a_base_may_be_named_from_the_adapters_own_folder(
    adapter: Path, base: Path, right: np.ndarray, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "b")
    path = moved_to(adapter, "../b", tmp_path / "a")
    np.testing.assert_allclose(vectors(path, tmp_path / "cache"), right, atol=1e-6)


def test_a_base_that_changed_is_another_checkpoint(adapter: Path, base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(base, tmp_path / "b")
    path = moved_to(adapter, str(copy), tmp_path / "a")
    before = found(path, tmp_path / "cache")
    with (copy / "config.json").open("a") as config:
        config.write(" ")
    check_unchanged(before, tmp_path / "cache")
    said = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**said, "layer_norm_eps": 1e-3}))
    assert found(path, tmp_path / "cache").digest != before.digest
    with pytest.raises(ModelError, match="changed"):
        check_unchanged(before, tmp_path / "cache")


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/gone/base", r"its base '/gone/base' .*is no directory here and no model of a hub"),
        ("org/never-fetched", "the base of this adapter is out of reach"),
    ],
)
def test_a_base_that_is_not_there_is_named(named: str, why: str, adapter: Path, tmp_path: Path) -> None:
    path = moved_to(adapter, named, tmp_path / "a")
    with pytest.raises(ModelError, match=why):
        found(path, tmp_path / "cache")


def test_an_adapter_that_nothing_refers_to_is_refused_rather_than_left_out(
    adapter: Path, base: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(base, tmp_path / "model")
    shutil.copytree(adapter, path / "adapter")
    with pytest.raises(ModelError, match=r"the adapter in adapter/ would not be loaded"):
        found(path, tmp_path / "cache")


def test_a_pickled_adapter_or_base_is_refused(adapter: Path, base: Path, tmp_path: Path) -> None:
    path = shutil.copytree(adapter, tmp_path / "a")
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"pickled \(adapter_model.bin\)"):
        found(path, tmp_path / "cache")
    copy = shutil.copytree(base, tmp_path / "b")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    path = moved_to(adapter, str(copy), tmp_path / "c")
    with pytest.raises(ModelError, match=r"pickled \(pytorch_model.bin\)"):
        found(path, tmp_path / "cache")


def test_an_adapter_of_another_model_is_refused(adapter: Path, base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = shutil.copytree(adapter, tmp_path / "a")
    weights = load_file(path / "adapter_model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "layer.1." not in name}, path / ONLY[1], {"format": "pt"}
    )
    with pytest.raises(ModelError, match=r"8 are missing|4 are missing"):
        load_encoder(found(path, tmp_path / "cache"))


def test_an_adapter_without_its_weights_is_named_by_its_own_place(adapter: Path, tmp_path: Path) -> None:
    path = shutil.copytree(adapter, tmp_path / "a")
    (path / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=rf"{path}/adapter_config.json is there, and its weights"):
        found(path, tmp_path / "cache")


def test_a_dora_adapter_gives_the_vectors_that_peft_gives(base: Path, tmp_path: Path) -> None:
    """transformers reads its matrices and not its magnitudes, PEFT both."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from safetensors.torch import load_file, save_file

    model = SentenceTransformer(str(base), device="cpu")
    plain = model.encode_query(TEXTS, normalize_embeddings=True)
    config = LoraConfig(r=4, target_modules=["query", "dense"], use_dora=True, init_lora_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = get_peft_model(model[0].auto_model, config)
        for name, weight in trained.named_parameters():
            if "magnitude" in name:
                weight.data *= 1 + torch.rand_like(weight)
    trained.save_pretrained(tmp_path / "dora")
    path = moved_to(tmp_path / "dora", str(base), tmp_path / "a")
    again = SentenceTransformer(str(base), device="cpu")
    again[0].auto_model = PeftModel.from_pretrained(again[0].auto_model, str(tmp_path / "dora"))
    right = again.encode_query(TEXTS, normalize_embeddings=True)
    assert (np.sum(plain * right, axis=1) < 0.99).all()
    np.testing.assert_allclose(vectors(path, tmp_path / "cache"), right, atol=1e-5)
    weights = load_file(path / ONLY[1])
    gone = next(name for name in weights if "magnitude" in name)
    save_file({name: value for name, value in weights.items() if name != gone}, path / ONLY[1], {"format": "pt"})
    with pytest.raises(
        ModelError, match=r"1 are missing \(.*lora_magnitude_vector.*; the adapter's file is incomplete"
    ):
        load_encoder(found(path, tmp_path / "cache"))


def test_what_an_adapter_is_of_decides_what_is_guessed(tmp_path: Path) -> None:
    """A causal base pools its last token, with an adapter as without; a classifier is none with one either."""
    import torch
    from layouts_case import DIRECTORIES
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    causal = DIRECTORIES["transformers alone, causal"](tmp_path)
    model = get_peft_model(
        AutoModel.from_pretrained(causal, dtype=torch.float32), LoraConfig(target_modules=["q_proj"])
    )
    model.save_pretrained(tmp_path / "adapter")
    checkpoint = found(tmp_path / "adapter", tmp_path / "cache")
    assert (checkpoint.pooling, checkpoint.pooling_from) == ("lasttoken", "a guess")
    config = json.loads((causal / "config.json").read_text())
    (causal / "config.json").write_text(json.dumps({**config, "architectures": ["Qwen3ForSequenceClassification"]}))
    with pytest.raises(ModelError, match="cross-encoder"):
        found(tmp_path / "adapter", tmp_path / "cache")
