"""What a sentence-transformers model is made of, as far as training and saving it must know."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from torch import nn

from clir_core.align.spec import OptimiserSpec
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.encoder import Encoder
from clir_core.model.loading import positions_of


def transformers(model: SentenceTransformer) -> list[Transformer]:
    """Every one of its transformers, those in the routes of a Router too."""
    return [module for module in model.modules() if isinstance(module, Transformer)]


def end_of_body(model: SentenceTransformer) -> int:
    """How many of its modules come before those at the end that do nothing but give vectors length 1."""
    modules = list(model)
    while modules and isinstance(modules[-1], Normalize):
        modules.pop()
    return len(modules)


def body(model: SentenceTransformer) -> SentenceTransformer:
    """The model up to there, with the same modules: its forward pass is the library's own."""
    found = copy.copy(model)
    found._modules = OrderedDict(list(model._modules.items())[: end_of_body(model)])
    return found


def embedding_matrices(model: SentenceTransformer) -> set[int]:
    """The `id` of the weights that turn tokens into vectors, whatever an architecture calls them."""
    found: set[int] = set()
    for transformer in transformers(model):
        try:
            found |= {id(weight) for weight in transformer.model.get_input_embeddings().parameters()}
        except (NotImplementedError, AttributeError) as error:
            kind = type(transformer.model).__name__
            raise AlignError(
                f"{kind} does not tell which of its weights embed tokens, so they cannot be frozen"
            ) from error
    return found


def used_dim(model: SentenceTransformer, checkpoint: Checkpoint) -> int | None:
    """How many dimensions of its vectors are ranked: what the spec or its own files say; None means all."""
    return min((dim for dim in (checkpoint.truncate_dim, model.truncate_dim) if dim), default=None)


def tokens(spec: OptimiserSpec) -> dict[str, int]:
    """Where texts of `query` and `document` are cut in training."""
    return {"query": spec.query_tokens, "document": spec.passage_tokens}


@contextmanager
def cut(model: SentenceTransformer, tokens: Mapping[str, int]) -> Iterator[None]:
    """Within it texts of each kind are cut at so many tokens, or before, where the model itself does."""
    own = [(part, f"{kind}_length", getattr(part, f"{kind}_length")) for part in transformers(model) for kind in tokens]
    for part, name, length in own:
        most = tokens[name.removesuffix("_length")]
        setattr(part, name, min(n for n in (length or part.max_seq_length, positions_of(part), most) if n))
    try:
        yield
    finally:
        for part, name, length in own:
            setattr(part, name, length)


@contextmanager
def cut_encoder(model: SentenceTransformer, checkpoint: Checkpoint, tokens: Mapping[str, int]) -> Iterator[Encoder]:
    """The encoder of a model that was loaded as saved: texts cut there or where an audit would, all dimensions kept."""
    prompts = {kind: checkpoint.prompt(kind) for kind in ("query", "document")}
    most = {kind: min(length, checkpoint.max_tokens) for kind, length in tokens.items()}
    with cut(model, most), model.truncate_embeddings(None):
        yield Encoder(model, prompts, checkpoint.normalize, checkpoint.ref)


def ranked(vectors_NH: np.ndarray, dim: int | None, normalize: bool) -> np.ndarray:
    """What is ranked of vectors: their first dimensions, or all, with length 1 where that is so; zeros stay zeros."""
    first_ND = torch.from_numpy(vectors_NH[:, :dim])
    return (nn.functional.normalize(first_ND, dim=1) if normalize else first_ND).numpy()


def lengths(model: SentenceTransformer) -> list[tuple[int | None, ...]]:
    """How many tokens its transformers read by themselves: of any text, of a query, of a document."""
    return [(part.max_seq_length, part.query_length, part.document_length) for part in transformers(model)]


def save(model: SentenceTransformer, checkpoint: Checkpoint, directory: Path) -> None:
    """Write a model that was loaded as saved; the prompts that it is used with come under the names all look for."""
    model.prompts = {**model.prompts, "query": checkpoint.query_prompt, "document": checkpoint.document_prompt}
    model.save_pretrained(str(directory), create_model_card=False)
