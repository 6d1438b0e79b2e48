"""A checkpoint as a sentence-transformers model: loaded with every weight it needs, pooled and cut as it is to be."""

import sys
from typing import Any

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from clir_core.errors import ModelError
from clir_core.model.adapter import adapter_folder
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from clir_core.model.linear import use_onednn
from clir_core.model.weights import check_weights, reports

KINDS = ("query", "document")
_LONGEST_REASON = 300


def load(checkpoint: Checkpoint, device: str) -> tuple[SentenceTransformer, dict[str, int]]:
    """The checkpoint as a sentence-transformers model, in the dtype and with the length that it is used at; and the
    tokens of each kind of text that it would read if it were not asked for less, where it has such a limit.

    ModelError where it cannot be loaded, or its weights are not those of its model.
    """
    model = load_as_saved(checkpoint, device)
    # of a Router each route's own; static word vectors have no length to set
    layers = [layer for layer in model.modules() if isinstance(layer, Transformer)]
    layers = [layer for layer in layers if isinstance(layer.tokenizer, PreTrainedTokenizerBase)]
    for layer in layers:
        _shorten(layer, sys.maxsize)
    own = {kind: most for kind in KINDS if (most := longest(model, kind) or sys.maxsize) < sys.maxsize}
    for layer in layers:
        _shorten(layer, checkpoint.max_tokens)
    model.default_prompt_name = None  # the audit chooses prompts; none may be added behind its back
    return model, own


def load_as_saved(checkpoint: Checkpoint, device: str) -> SentenceTransformer:
    """The same with its own length, prompts and dimensions, which it keeps when it is saved again."""
    # what the reports say of weights is checked here, and a pooler that no embedding uses would fill the log
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with reports() as loaded:
        try:
            model = SentenceTransformer(
                str(checkpoint.path),
                device=device,
                trust_remote_code=checkpoint.remote_code,
                local_files_only=True,
                # transformers 5 would load the stored dtype
                model_kwargs={"use_safetensors": True, "dtype": getattr(torch, checkpoint.dtype)},
            )
        except Exception as error:
            # of weights that do not fit, the library's own error names the first alone
            check_weights(checkpoint.ref, loaded)
            raise ModelError(
                f"{checkpoint.ref}: cannot be loaded ({type(error).__name__}: {_reason(error)}); "
                f"does SentenceTransformer({str(checkpoint.path)!r}) load it?"
            ) from error
    check_weights(checkpoint.ref, loaded, _read_magnitudes(checkpoint, model))
    if not (hasattr(model[0], "preprocess") or hasattr(model[0], "tokenize")):
        raise ModelError(
            f"{checkpoint.ref}: its first module is {type(model[0]).__name__}, which reads no texts; list the modules "
            "in modules.json in the order in which they are applied"
        )
    model.to(getattr(torch, checkpoint.dtype))  # layers of sentence-transformers' own keep the stored dtype
    if checkpoint.pooling:
        _pool(checkpoint, model)
    use_onednn(model)
    return model.eval()


def _read_magnitudes(checkpoint: Checkpoint, model: SentenceTransformer) -> set[str]:
    """Load the magnitudes of a DoRA adapter, which transformers 5.23 leaves at random; the names that it gives them."""
    folder, read = adapter_folder(checkpoint.ref, checkpoint.path), set[str]()
    if not folder or not read_json(folder / ADAPTER_CONFIG).get("use_dora"):
        return read
    from peft import set_peft_model_state_dict  # seconds to import

    for layer in model.modules():
        network: Any = layer.auto_model if isinstance(layer, Transformer) else None
        for name in getattr(network, "peft_config", ()):
            found: Any = set_peft_model_state_dict(network, load_file(folder / ADAPTER_WEIGHTS), adapter_name=name)
            names = {one for one, _ in network.named_parameters() if "lora_magnitude_vector" in one}
            read |= {one for key in names - {*found.missing_keys} for one in (key, key.removesuffix(".weight"))}
    return read


def reader_of(model: SentenceTransformer, kind: str) -> nn.Module:
    """What reads texts of a `query` or `document` first: the first module, of a Router that of the kind's own route."""
    first: nn.Module = model[0]
    if not isinstance(first, Router):
        return first
    routes = first.sub_modules
    route = kind if kind in routes else str(first.default_route or next(iter(routes)))
    inside: nn.Module = routes[route][0]
    return inside


def longest(model: SentenceTransformer, kind: str) -> int | None:
    """Tokens of a `query` or `document` that are read; None where there is no limit."""
    reader = reader_of(model, kind)
    if not isinstance(reader, Transformer):
        return None
    # some checkpoints read less of a query than of a document
    return getattr(reader, f"{kind}_length", None) or reader.max_seq_length


def _pool(checkpoint: Checkpoint, model: SentenceTransformer) -> None:
    """Let the one pooling layer pool as it is to be."""
    places = [(name, layer) for name, layer in model.named_children() if isinstance(layer, Pooling)]
    if len(places) != 1:
        raise ModelError(
            f"{checkpoint.ref}: has {len(places)} pooling layers at its top, so none can be told to pool by "
            f"{checkpoint.pooling}; leave encoding.pooling out"
        )
    name, layer = places[0]
    dimension = int(layer.embedding_dimension)
    setattr(model, name, Pooling(dimension, checkpoint.pooling, include_prompt=layer.include_prompt))


def _shorten(layer: Transformer, tokens: int) -> None:
    """Let a transformer cut texts at so many tokens, or before, where it does or must."""
    own = layer.max_seq_length or tokens
    layer.max_seq_length = min(own, tokens, positions_of(layer) or own)
    for name in ("query_length", "document_length"):
        if own := getattr(layer, name):
            setattr(layer, name, min(own, tokens, positions_of(layer) or own))


def positions_of(model: nn.Module) -> int | None:
    """The longest text that the position embeddings, where they are learned, have places for."""
    lengths = []
    for layer in model.modules():
        matrix = getattr(layer, "position_embeddings", None)
        if isinstance(matrix, nn.Embedding):
            # RoBERTa's family counts from behind its padding
            padding: Any = getattr(layer, "padding_idx", None)
            lengths.append(matrix.num_embeddings - (padding + 1 if isinstance(padding, int) else 0))
    return min(lengths, default=None)


def _reason(error: BaseException) -> str:
    """What somebody else's error says, all of its lines in one, cut where it goes on for long."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}..."
