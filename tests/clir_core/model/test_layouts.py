"""Every layout of a checkpoint gives the vectors of sentence-transformers' own encode_query and encode_document."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts_case import DIRECTORIES, LAYOUTS, made
from sentence_transformers import SentenceTransformer

from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder

TEXTS = ["Where do bees live?", "Some live alone, in the ground.", "bees " * 60, "Wo? UPPER\ncase"]
ALL: dict[str, Callable[[Path], Path]] = {
    **{name: (lambda at, name=name: made(name, at)) for name in LAYOUTS},
    **DIRECTORIES,
}


def found(path: Path, cache: Path, **spec: object) -> Checkpoint:
    return resolve(str(path), EncodingSpec(max_tokens=8192, **spec), cache, "float32")


def apart(checkpoint: Checkpoint, path: Path) -> float:
    """The largest difference of a number of a vector, ours from sentence-transformers', both of length 1."""
    plain = SentenceTransformer(str(path), device="cpu", model_kwargs={"dtype": torch.float32})
    encoder = load_encoder(checkpoint)
    found = []
    for kind, encode in (("query", plain.encode_query), ("document", plain.encode_document)):
        # documents whose prompt stands under an older name would get none from encode_document
        own = plain.prompts.get(kind) or ""
        prompt = None if own == checkpoint.prompt(kind) else checkpoint.prompt(kind)
        right = np.asarray(encode(TEXTS, prompt=prompt), np.float32)
        ours = encoder.encode(TEXTS, kind)
        found.append(np.abs(unit(ours) - unit(right)).max())
    return float(max(found))


def unit(vectors_NH: np.ndarray) -> np.ndarray:
    return vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ALL)
def test_vectors_are_those_of_sentence_transformers(name: str, tmp_path: Path) -> None:
    path = ALL[name](tmp_path)
    assert apart(found(path, tmp_path / "cache"), path) < 5e-6


@pytest.mark.parametrize(
    "name", ["router", "router, static queries", "a router behind the pooling", "shorter queries", "qwen3, left"]
)
def test_queries_are_read_otherwise_than_documents(name: str, tmp_path: Path) -> None:
    """Where both went one way, no figure would tell."""
    encoder = load_encoder(found(ALL[name](tmp_path), tmp_path / "cache"))
    one, other = (encoder.encode(TEXTS, kind) for kind in ("query", "document"))
    assert (np.sum(unit(one) * unit(other), axis=1) < 0.999).any()


def test_a_router_without_a_default_route_needs_none(tmp_path: Path) -> None:
    """Plain encode() fails there: a task has to be said."""
    import json

    path = ALL["router"](tmp_path)
    config = json.loads((path / "router_config.json").read_text())
    config["parameters"] |= {"default_route": None, "allow_empty_key": False}
    (path / "router_config.json").write_text(json.dumps(config))
    assert apart(found(path, tmp_path / "cache"), path) < 5e-6
