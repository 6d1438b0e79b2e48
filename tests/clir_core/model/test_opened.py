"""What loading a checkpoint reads is what its fingerprint is of, and nothing pickled is among it."""

import json
import os
import pickle
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isclass
from pathlib import Path

import numpy as np
import pytest
import sentence_transformers
from checkpoint_files import LAYERS, PLAIN, Files, as_json, weights, write
from layouts_case import DIRECTORIES, LAYOUTS, made
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Module

from clir_core.errors import ModelError
from clir_core.model import files
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import load_encoder
from clir_core.model.files import deciding_files, modules_of

ALL: dict[str, Callable[[Path], Path]] = {
    **{name: (lambda at, name=name: made(name, at)) for name in LAYOUTS},
    **DIRECTORIES,
}
TEXTS = ["Where do bees live?", "Some live alone."]
# opened, and no vector depends on it: the card, of which prompts are made that have a place of their own in the
# vectors' identity; how texts would be generated; what a processor of pictures would be
IRRELEVANT = {"README.md", "generation_config.json", "processor_config.json", "preprocessor_config.json"}

_listening: list[set[Path]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _listening and isinstance(arguments[0], str | bytes):
        _listening[-1].add(Path(os.fsdecode(arguments[0])))


sys.addaudithook(_hear)  # for good, which is why it only hears while something listens


@contextmanager
def opened() -> Iterator[set[Path]]:
    """Every file that Python opens meanwhile."""
    _listening.append(set())
    yield _listening[-1]
    _listening.pop()


def is_pickled(file: Path) -> bool:
    return file.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".joblib", ".npy")


@pytest.mark.parametrize("name", ALL)
def test_what_is_opened_is_hashed_and_the_rest_may_be_anything(name: str, tmp_path: Path) -> None:
    path = ALL[name](tmp_path)
    checkpoint = resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32")
    places = [place for place in (checkpoint.path, checkpoint.base) if place]
    hashed = {file.resolve() for place in places for file in deciding_files(place, modules_of(name, place)).values()}
    with opened() as read:
        before = load_encoder(checkpoint).encode(TEXTS, "query")
    below = {file.resolve() for place in (*places, path) for file in place.rglob("*") if file.is_file()}
    heard = {file.resolve() for file in read} & below
    assert heard and {file.name for file in heard - hashed} <= IRRELEVANT
    assert not any(map(is_pickled, heard))
    # tokenizers and safetensors open files without Python
    for file in below - hashed:
        file.chmod(0o644)
        file.write_bytes(b"\x00garbage")
    assert np.array_equal(load_encoder(checkpoint).encode(TEXTS, "query"), before)


class Exploit:
    """Unpickled, it leaves a witness."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


def dense(folder: Path) -> Path:
    """A checkpoint with a layer of sentence-transformers' own in `2_Dense`."""
    path = made("t5", folder)
    assert (path / "2_Dense" / "model.safetensors").exists()
    return path


def indexed(path: Path, **shards: str) -> None:
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def with_index_at_the_top(path: Path) -> None:
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").rename(path / "model-00001-of-00001.safetensors")
    indexed(path, **dict.fromkeys(tensors, "model-00001-of-00001.safetensors"))
    (path / "2_Dense" / "model.safetensors").unlink()


def with_others_beside(path: Path) -> None:
    (path / "2_Dense" / "model.safetensors").rename(path / "2_Dense" / "other_model.safetensors")


def with_an_index_beside(path: Path) -> None:
    (path / "2_Dense" / "model.safetensors").unlink()
    (path / "2_Dense" / "model.safetensors.index.json").write_text("{}")


def in_the_transformers_folder(path: Path) -> None:
    """The layer's weights lie beside the shards of the transformer."""
    with_index_at_the_top(path)
    listed = json.loads((path / "modules.json").read_text())
    for module in listed:
        if module["path"] == "2_Dense":
            module["path"] = ""
    (path / "modules.json").write_text(json.dumps(listed))


def named_by_the_index(path: Path) -> None:
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    indexed(path, **dict.fromkeys(tensors, "pytorch_model.bin"))


def named_by_the_configuration(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "transformers_weights": "adapter_model.bin"}))


HOLES = (
    with_index_at_the_top, with_others_beside, with_an_index_beside, in_the_transformers_folder, named_by_the_index,
    named_by_the_configuration,
)  # fmt: skip


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.__name__)
def test_a_pickle_is_never_opened(hole: Callable[[Path], None], tmp_path: Path) -> None:
    path, witness = dense(tmp_path), tmp_path / "witness"
    hole(path)
    for name in ("pytorch_model.bin", "2_Dense/pytorch_model.bin", "adapter_model.bin"):
        (path / name).write_bytes(pickle.dumps(Exploit(witness)))
    with opened() as read, pytest.raises(ModelError, match=r"pickled|names weights"):
        load_encoder(resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32"))
    assert not any(map(is_pickled, read)) and not witness.exists()


def test_the_holes_are_real(tmp_path: Path) -> None:
    """sentence-transformers itself opens the file, and torch alone keeps it from running code."""
    path = dense(tmp_path)
    with_index_at_the_top(path)
    layer = path / "2_Dense" / "pytorch_model.bin"
    layer.write_bytes(pickle.dumps(Exploit(tmp_path / "witness")))
    with opened() as read, pytest.raises(pickle.UnpicklingError):
        sentence_transformers.SentenceTransformer(str(path), device="cpu", model_kwargs={"use_safetensors": True})
    assert layer in read


INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    "content",
    [
        {INDEX: as_json({"weight_map": {"a": "../other/model.safetensors"}})},
        {INDEX: as_json({"weight_map": {"a": "sub/model.safetensors"}})},
        {INDEX: as_json({"weight_map": {"a": "/x.safetensors"}})},
        {INDEX: as_json({"weight_map": {"a": 5}})},
        {INDEX: as_json({"weight_map": [1]})},
        {"config.json": as_json({"transformers_weights": "../x.safetensors"})},
        {"config.json": as_json({"transformers_weights": "x.pt"})},
        {"config.json": as_json({"transformers_weights": ["x.safetensors"]})},
        {"config.json": as_json({"transformers_weights": "../model.safetensors.index.json"})},
    ],
)
def test_weights_elsewhere_are_refused(content: Files, tmp_path: Path) -> None:
    others = {name: data for name, data in PLAIN.items() if name != "model.safetensors" or INDEX not in content}
    path = write(tmp_path / "m", {**others, "sub/model.safetensors": weights(), **content})
    with pytest.raises(ModelError, match="names weights"):
        resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32")


def test_the_weights_that_the_configuration_names_are_those_that_are_hashed(tmp_path: Path) -> None:
    config = as_json({"model_type": "bert", "transformers_weights": "own.safetensors"})
    path = write(tmp_path / "m", {**PLAIN, "config.json": config, "own.safetensors": weights(3.0)})

    def digest() -> str:
        return resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32").digest

    before = digest()
    write(path, {"model.safetensors": weights(8.0)})
    assert digest() == before
    write(path, {"own.safetensors": weights(8.0)})
    assert digest() != before


def test_the_named_weights_are_those_that_are_loaded(tmp_path: Path) -> None:
    path = made("bert", tmp_path)
    (path / "own.safetensors").write_bytes((path / "model.safetensors").read_bytes())
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "transformers_weights": "own.safetensors"}))

    def vectors() -> np.ndarray:
        checkpoint = resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32")
        return load_encoder(checkpoint).encode(TEXTS, "query")

    before = vectors()
    (path / "model.safetensors").write_bytes(weights())
    assert np.array_equal(vectors(), before)
    tensors = load_file(path / "own.safetensors")
    save_file({name: tensor.flip(0) for name, tensor in tensors.items()}, path / "own.safetensors", {"format": "pt"})
    assert not np.array_equal(vectors(), before)


@pytest.mark.parametrize(
    "type_",
    [
        "sentence_transformers.base.modules.module.torch",
        "sentence_transformers.base.sampler.pickle",
        "sentence_transformers.SentenceTransformer",
        "sentence_transformers.multi_vector_encoder.modules.LambdaTokenPooling",
        "os.system",
    ],
)
def test_a_path_into_the_library_that_is_no_module_is_code_of_its_own(type_: str, tmp_path: Path) -> None:
    listed = [*json.loads(LAYERS["modules.json"]), {"idx": 4, "name": "4", "path": "2_Dense", "type": type_}]
    path = write(tmp_path / "m", {**LAYERS, "modules.json": as_json(listed)})
    with pytest.raises(ModelError, match="needs Python code of its own"):
        resolve(str(path), EncodingSpec(), tmp_path / "cache", "float32")


def test_every_module_of_the_library_is_known_or_left_out_on_purpose() -> None:
    found = set()
    for package in ("base", "sentence_transformer", "sparse_encoder", "multi_vector_encoder", "cross_encoder"):
        root = import_module(f"sentence_transformers.{package}.modules")
        for one in pkgutil.iter_modules(root.__path__, f"{root.__name__}."):
            found |= {name for name, value in vars(import_module(one.name)).items() if is_module(value)}
    # functions of a pickle, and what others inherit
    assert found - files._KINDS == {"LambdaTokenPooling", "Module", "InputModule", "BaseTokenPooling"}
    # names of before
    assert files._KINDS - found == {"CSRSparsity", "IDF"}


def is_module(value: object) -> bool:
    return isclass(value) and issubclass(value, Module)
