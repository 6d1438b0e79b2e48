"""What is encoded of weighted terms and of several vectors is what sentence-transformers itself encodes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import other_models_case as made
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SparseEncoder
from sentence_transformers.util import similarity

from clir_core.errors import ModelError, SpecError
from clir_core.model import other_encoders
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.other_encoders import encode_multi_vector, encode_sparse, load_multi_vector, load_sparse
from clir_core.model.prompts import prompts_of
from clir_core.workspace import memory

QUERIES = ["what is a cat?", "Hund", "日本"]
DOCUMENTS = ["The cat sat on the mat. It is, yes!", "ein Hund", "日本語", "a longer text about nothing, " * 6, "!"]


def quiet(done: int, total: int) -> None: ...


def prompts(path: Path) -> tuple[str, str]:
    found = prompts_of(path, "", None, None)
    return found.query, found.document


@pytest.mark.parametrize("make", [made.splade, made.inference_free])
def test_terms_are_weighed_as_sentence_transformers_does(
    make: Callable[[Path, Path], Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_encoders, "CHUNK", 2)
    path = make(tmp_path, tiny_model)
    model = load_sparse(made.as_checkpoint(path, "sparse"))
    told: list[tuple[int, int]] = []
    docs = encode_sparse(model, DOCUMENTS, "document", None, lambda done, total: told.append((done, total)))
    queries = encode_sparse(model, QUERIES, "query", None, quiet)
    own = SparseEncoder(str(path), device="cpu")
    expected = own.similarity(own.encode_query(QUERIES), own.encode_document(DOCUMENTS)).to_dense().numpy()
    np.testing.assert_allclose((queries @ docs.T).toarray(), expected, rtol=2e-6)
    assert told == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("make", [made.multi_vector, made.pylate, made.stanford])
def test_vectors_are_those_of_sentence_transformers(
    make: Callable[[Path, Path], Path], tiny_model: Path, tmp_path: Path
) -> None:
    path = make(tmp_path, tiny_model)
    checkpoint = made.as_checkpoint(path, "multi_vector", *prompts(path))
    model, own = load_multi_vector(checkpoint), MultiVectorEncoder(str(path), device="cpu")
    assert [own.prompts["query"] or "", own.prompts["document"] or ""] == [*prompts(path)]
    for texts, kind, expected in (
        (QUERIES, "query", own.encode_query(QUERIES)),
        (DOCUMENTS, "document", own.encode_document(DOCUMENTS)),
    ):
        tokens_TH, first_N = encode_multi_vector(model, texts, kind, checkpoint.prompt(kind) or None, quiet)
        assert np.diff(first_N).tolist() == [len(one) for one in expected]
        np.testing.assert_allclose(tokens_TH, torch.cat(expected).numpy(), atol=2e-6)


def test_a_mean_over_the_querys_vectors_is_in_the_vectors(tiny_model: Path, tmp_path: Path) -> None:
    path = made.multi_vector(tmp_path, tiny_model, "meanmaxsim")
    model = load_multi_vector(made.as_checkpoint(path, "multi_vector"))
    (asked, first_Q), (held, first_D) = (
        encode_multi_vector(model, texts, kind, None, quiet)
        for texts, kind in ((QUERIES, "query"), (DOCUMENTS, "document"))
    )
    parts = (
        [torch.from_numpy(one) for one in np.split(a, first[1:-1])] for a, first in ((asked, first_Q), (held, first_D))
    )
    own = MultiVectorEncoder(str(path), device="cpu")
    expected = own.similarity(own.encode_query(QUERIES), own.encode_document(DOCUMENTS)).numpy()
    np.testing.assert_allclose(similarity.maxsim(*parts).numpy(), expected, atol=2e-6)


def test_what_memory_cannot_hold_is_refused(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_multi_vector(made.as_checkpoint(made.multi_vector(tmp_path, tiny_model), "multi_vector"))
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(SpecError, match="several vectors for each of 5 texts needs about"):
        encode_multi_vector(model, DOCUMENTS, "document", None, quiet)


def _sparse(path: Path) -> Checkpoint:
    return made.as_checkpoint(path, "sparse")


def test_what_cannot_be_used_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = made.splade(tmp_path, tiny_model)
    with pytest.raises(ModelError, match="16 dimensions are asked for with truncate_dim"):
        load_sparse(_sparse(path).model_copy(update={"truncate_dim": 16}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_sparse(_sparse(tmp_path / "none"))
    config = path / "config_sentence_transformers.json"
    config.write_text(
        config.read_text("utf-8").replace('"similarity_fn_name": null', '"similarity_fn_name": "euclidean"')
    )
    with pytest.raises(
        ModelError, match="a SparseEncoder that ranks by 'euclidean'; an audit of one knows dot and cosine"
    ):
        encode_sparse(load_sparse(_sparse(path)), QUERIES, "query", None, quiet)


def test_damaged_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = made.splade(tmp_path, tiny_model)
    weights = load_file(path / "model.safetensors")
    save_file(
        {name: value * torch.nan for name, value in weights.items()}, path / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ModelError, match="NaN or infinity"):
        encode_sparse(load_sparse(_sparse(path)), QUERIES, "query", None, quiet)
