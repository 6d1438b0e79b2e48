"""What decides a vector and what does not: the digest changes with the first, and with nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_files import ADAPTER, FOLDERS, LAYERS, PLAIN, ROUTER, SHARDS, as_json, weights, write

from clir_core.errors import ModelError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve

# a checkpoint's files, and one of them that decides a vector
DECIDES = {
    "weights": (LAYERS, "model.safetensors", weights(9.0)),
    "configuration": (LAYERS, "config.json", as_json({"model_type": "bert", "num_hidden_layers": 1})),
    "tokenizer": (LAYERS, "tokenizer.json", as_json({"version": "2.0"})),
    "vocabulary": (LAYERS, "vocab.txt", b"[PAD]\n"),
    "merges": (LAYERS, "merges.txt", b"a b\n"),
    "sentencepiece": (LAYERS, "sentencepiece.bpe.model", b"x"),
    "added tokens": (LAYERS, "added_tokens.json", as_json({"<q>": 5})),
    "chat template": (LAYERS, "chat_template.jinja", b"{{ messages }}"),
    "longest text": (LAYERS, "sentence_bert_config.json", as_json({"max_seq_length": 64})),
    "list of modules": (LAYERS, "modules.json", LAYERS["modules.json"].replace(b"Normalize", b"LayerNorm")),
    "prompts": (LAYERS, "config_sentence_transformers.json", as_json({"prompts": {"query": "q: "}})),
    "pooling": (LAYERS, "1_Pooling/config.json", as_json({"pooling_mode": "cls"})),
    "a dense layer": (LAYERS, "2_Dense/model.safetensors", weights(9.0)),
    "a transformer's folder": (FOLDERS, "0_Transformer/model.safetensors", weights(9.0)),
    "a shard": (SHARDS, "model-00002-of-00002.safetensors", weights(9.0)),
    "a route": (ROUTER, "query_0/model.safetensors", weights(9.0)),
    "a route's tokenizer": (ROUTER, "document_0/tokenizer.json", as_json({"version": "2.0"})),
    "the router": (ROUTER, "router_config.json", ROUTER["router_config.json"].replace(b'"document"}', b'"query"}')),
}
# what trainers, hubs and exports leave beside
INDIFFERENT = {
    "trainer state": ("trainer_state.json", as_json({"global_step": 5})),
    "arguments": ("training_args.json", as_json({"seed": 5})),
    "results": ("eval_results.json", as_json({"loss": 1})),
    "all results": ("all_results.json", as_json({"loss": 1})),
    "licence": ("LICENSE.txt", b"MIT"),
    "requirements": ("requirements.txt", b"torch"),
    "read-me": ("README.md", b"# A model"),
    "generation": ("generation_config.json", as_json({"max_length": 5})),
    "wandb": ("wandb/run-1/files/config.json", as_json({"seed": 5})),
    "logs": ("runs/x/config.json", as_json({"seed": 5})),
    "onnx": ("onnx/config.json", as_json({"x": 1})),
    "onnx configuration": ("onnx/tokenizer.json", as_json({"x": 1})),
    "another format": ("openvino/openvino_model.bin", b"x"),
    "optimizer": ("optimizer.pt", b"x"),
    "deepspeed": ("global_step500/mp_rank_00_model_states.pt", b"x"),
    "a step": ("checkpoint-10/model.safetensors", weights(5.0)),
    "an older step": ("checkpoint-10/pytorch_model.bin", b"x"),
    "evaluation": ("eval/similarity.csv", b"a\n"),
    "both formats": ("pytorch_model.bin", b"x"),
    "hidden": (".cache/state.json", as_json({"x": 1})),
    "code that is not run": ("modeling.py", b"x = 1"),
}


def found(path: Path, cache: Path = Path("/dev/null"), **spec: object) -> Checkpoint:
    return resolve(str(path), EncodingSpec(**spec), cache, "float32")


@pytest.mark.parametrize("what", DECIDES)
def test_the_digest_changes_with_what_decides_a_vector(what: str, tmp_path: Path) -> None:
    files, name, other = DECIDES[what]
    path = write(tmp_path / "model", files)
    before = found(path)
    write(path, {name: other})
    assert found(path).digest != before.digest


@pytest.mark.parametrize("what", DECIDES)
def test_also_where_a_folder_is_a_link(what: str, tmp_path: Path) -> None:
    files, name, other = DECIDES[what]
    path = write(tmp_path / "model", files)
    digest = found(path).digest
    for folder in [folder for folder in path.iterdir() if folder.is_dir()]:
        shutil.move(folder, tmp_path / f"{folder.name}-elsewhere")
        folder.symlink_to(tmp_path / f"{folder.name}-elsewhere")
    assert found(path).digest == digest
    write(path, {name: other})
    assert found(path).digest != digest


@pytest.mark.parametrize("what", INDIFFERENT)
def test_the_digest_stays_with_what_no_vector_depends_on(what: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model", LAYERS)
    before = found(path)
    name, data = INDIFFERENT[what]
    write(path, {name: data})
    assert found(path).digest == before.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda said: json.dumps(said, indent=7),
        lambda said: json.dumps(dict(reversed(said.items()))),
        lambda said: json.dumps({**said, "transformers_version": "9.9", "_name_or_path": "x", "dtype": "float16"}),
    ],
    ids=["indented", "another order", "who wrote it"],
)
def test_the_digest_is_of_what_json_says(change: Callable[[dict], str], tmp_path: Path) -> None:
    path = write(tmp_path / "model", {**LAYERS, "config.json": as_json({"model_type": "bert", "hidden_size": 4})})
    before = found(path)
    file = path / "config.json"
    file.write_text(change(json.loads(file.read_text())))
    assert found(path).digest == before.digest


def test_an_adapters_digest_is_of_its_base_too_and_not_of_where_that_lies(tmp_path: Path) -> None:
    base = write(tmp_path / "base", PLAIN)
    adapter = write(tmp_path / "adapter", ADAPTER)

    def digest() -> str:
        config = as_json({"base_model_name_or_path": str(base), "r": 4})
        write(adapter, {"adapter_config.json": config})
        return found(adapter, tmp_path / "cache").digest

    first = digest()
    base = Path(shutil.move(base, tmp_path / "moved"))
    assert digest() == first
    write(base, {"model.safetensors": weights(9.0)})
    second = digest()
    assert second != first
    write(adapter, {"adapter_model.safetensors": weights(8.0)})
    assert digest() not in (first, second)


@pytest.mark.parametrize("folder", ["../other", "/other", "a/../../other", "C:\\other"])
def test_a_module_outside_of_the_checkpoint_is_refused(folder: str, tmp_path: Path) -> None:
    modules = [{"path": folder, "type": "sentence_transformers.models.Dense"}]
    path = write(tmp_path / "model", {**PLAIN, "modules.json": as_json(modules)})
    with pytest.raises(ModelError, match=r"lies outside of the checkpoint"):
        found(path)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("onnx/model.onnx", "ONNX"),
        ("openvino/openvino_model.xml", "OpenVINO"),
        ("model-q4.gguf", "GGUF"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
    ],
)
def test_weights_of_another_kind_are_named(file: str, named: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model", {"config.json": PLAIN["config.json"], file: b"x"})
    with pytest.raises(ModelError, match=rf"has no weights \(\*.safetensors\), only {named}; give the checkpoint"):
        found(path)


def test_a_trainers_folder_without_weights_of_its_own_leads_to_its_steps(tmp_path: Path) -> None:
    path = write(tmp_path / "run", {f"checkpoint-10/{name}": data for name, data in LAYERS.items()})
    with pytest.raises(ModelError, match=r"folders of steps; give one of them, such as .*/run/checkpoint-10"):
        found(path)
    assert found(path / "checkpoint-10").name == "checkpoint-10"
