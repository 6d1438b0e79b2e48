"""Checkpoints that give a text no single vector: weighted terms (SPLADE), or several vectors (ColBERT).

sentence-transformers loads and computes; texts of like length go through it together.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array, vstack
from sentence_transformers import MultiVectorEncoder, SparseEncoder
from transformers.utils import logging as transformers_logging

from clir_core.errors import ModelError, first_line
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import positions_of
from clir_core.model.weights import check_weights, reports
from clir_core.workspace.memory import check_room

CHUNK = 512
_BATCH = 32
# Stanford's layer beside the transformer, in the same file: sentence-transformers reads it by itself
_PROJECTION = ("linear.weight",)

Model = TypeVar("Model", SparseEncoder, MultiVectorEncoder)
# texts that are done, and all
Progress = Callable[[int, int], None]


def load_sparse(checkpoint: Checkpoint) -> SparseEncoder:
    """The checkpoint, ready to encode. ModelError where it cannot be loaded."""
    return _loaded(SparseEncoder, checkpoint)


def load_multi_vector(checkpoint: Checkpoint) -> MultiVectorEncoder:
    """The checkpoint, ready to encode. ModelError where it cannot be loaded."""
    return _loaded(MultiVectorEncoder, checkpoint)


def encode_sparse(
    model: SparseEncoder, texts: Sequence[str], kind: str, prompt: str | None, progress: Progress
) -> csr_array:
    """Weights of the terms of `query` or `document` texts, float32 [texts, terms], of length 1 where compared so."""
    _check_similarity(model, "dot", "cosine")
    order, parts = _longest_first(texts), []
    for chunk in _chunks(order, progress):
        found = _encoded(model, [texts[i] for i in chunk], kind, prompt, convert_to_sparse_tensor=True)
        found = found.float().cpu().coalesce()
        parts.append(csr_array((found.values().numpy(), found.indices().numpy()), tuple(found.shape)))
    weights = csr_array(vstack(parts, "csr"))[np.argsort(order)]
    _check_finite(weights.data)
    if model.similarity_fn_name == "cosine":
        length = np.sqrt(weights.multiply(weights).sum(axis=1))
        weights = csr_array(diags_array(1 / np.where(length > 0, length, 1), dtype=np.float32) @ weights)
    return weights


def encode_multi_vector(
    model: MultiVectorEncoder, texts: Sequence[str], kind: str, prompt: str | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of all `query` or `document` texts in a row, float32 [vectors, H], and where each text's begin,
    int64 [texts + 1]. SpecError where memory cannot hold them."""
    _check_similarity(model, "maxsim", "meanmaxsim")
    order, found = _longest_first(texts), [np.empty((0, 0), np.float32)] * len(texts)
    letters, read = sum(map(len, texts)), 0
    for chunk in _chunks(order, progress):
        chosen = [texts[i] for i in chunk]
        for i, vectors in zip(chunk, _encoded(model, chosen, kind, prompt), strict=True):
            found[i] = vectors.float().cpu().numpy()
        if not read:
            read = sum(map(len, chosen)) or 1
            need = 2 * sum(found[i].nbytes for i in chunk) * letters // read
            check_room(need, f"several vectors for each of {len(texts):,} texts", "audit fewer `languages`")
    tokens_TH = np.concatenate(found)
    _check_finite(tokens_TH)
    if kind == "query" and model.similarity_fn_name == "meanmaxsim":
        counts = np.array([len(vectors) for vectors in found], np.float32)
        tokens_TH = tokens_TH / np.repeat(counts, counts.astype(np.int64))[:, None]
    return tokens_TH, np.cumsum([0, *map(len, found)])


def _loaded(kind: type[Model], checkpoint: Checkpoint) -> Model:
    if checkpoint.truncate_dim:
        raise ModelError(
            f"{checkpoint.ref}: {checkpoint.truncate_dim} dimensions are asked for with truncate_dim, and it does not "
            "give one vector a text; leave it out"
        )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with reports() as loaded:
        try:
            model = kind(
                str(checkpoint.path),
                device="cuda" if torch.cuda.is_available() else "cpu",
                trust_remote_code=checkpoint.remote_code,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": getattr(torch, checkpoint.dtype)},
            )
        except Exception as error:
            check_weights(checkpoint.ref, loaded, _PROJECTION)
            raise ModelError(
                f"{checkpoint.ref}: cannot be loaded ({type(error).__name__}: {first_line(error)}); "
                f"does {kind.__name__}({str(checkpoint.path)!r}) load it?"
            ) from error
    check_weights(checkpoint.ref, loaded, _PROJECTION)
    if model.max_seq_length:
        own = model.max_seq_length
        longest = model.max_seq_length = min(own, checkpoint.max_tokens, positions_of(model) or own)
        for layer in model.modules():
            # lengths of its own for queries and documents may exceed what the transformer has places for
            for name in ("query_length", "document_length"):
                if (getattr(layer, name, None) or 0) > longest:
                    setattr(layer, name, longest)
    model.default_prompt_name = None  # the audit chooses prompts; none may be added behind its back
    return model.eval()


def _encoded(model: Any, texts: list[str], kind: str, prompt: str | None, **how: Any) -> Any:
    # task: a Router, or a length of its own, for queries
    return model.encode(texts, prompt=prompt, task=kind, batch_size=_BATCH, show_progress_bar=False, **how)


def _check_similarity(model: Any, *known: str) -> None:
    if model.similarity_fn_name not in known:
        name = f"{type(model).__name__} that ranks by {model.similarity_fn_name!r}"
        raise ModelError(f"a {name}; an audit of one knows {' and '.join(known)}")


def _longest_first(texts: Sequence[str]) -> np.ndarray:
    return np.argsort([-len(text) for text in texts], kind="stable")


def _chunks(order: np.ndarray, progress: Progress) -> Iterator[np.ndarray]:
    for at in range(0, len(order), CHUNK):
        yield order[at : at + CHUNK]
        progress(min(at + CHUNK, len(order)), len(order))


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ModelError("the checkpoint gives NaN or infinity; it is damaged")
