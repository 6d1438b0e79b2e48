"""Texts to vectors with one checkpoint: sentence-transformers computes, batching is ours.

Texts are sorted by token length and cut into batches of about the same number of tokens, so almost nothing is padding;
a thread prepares the next batch while the model works on this one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import PreTrainedTokenizerBase

from clir_core.errors import ModelError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import KINDS, load, longest, reader_of
from clir_core.model.reading import Reading, reading_of

CPU_BATCH_TOKENS = 2_048
GPU_BATCH_TOKENS = 32_768

# texts that are done since the last call
Done = Callable[[int], None]


class Encoder:
    """A loaded model and how it is used. `dim` is the length of its vectors.

    `prompts` go before texts of each kind, `query` and `document`; where `normalize`, vectors get length 1. `own`
    are the tokens of each that it would read by itself.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        prompts: Mapping[str, str],
        normalize: bool,
        name: str,
        batch_tokens: int = 0,
        truncate_dim: int | None = None,
        own: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._model, self._prompts, self._normalize, self._name = model, prompts, normalize, name
        on_cpu = model.device.type == "cpu"
        self._batch_tokens = batch_tokens or (CPU_BATCH_TOKENS if on_cpu else GPU_BATCH_TOKENS)
        self._own = own
        self.dim = int(model.get_embedding_dimension() or 0)
        if truncate_dim:
            self.dim = min(self.dim, truncate_dim)

    @property
    def pooling(self) -> str:
        """How vectors of tokens become one, as the loaded layers do it; empty without such a layer."""
        modes = [layer.pooling_mode for layer in self._model.modules() if isinstance(layer, Pooling)]
        named = ("+".join(mode) if isinstance(mode, (list, tuple)) else str(mode) for mode in modes)
        return " and ".join(dict.fromkeys(named))

    def longest(self, kind: str) -> int | None:
        """Tokens of a `query` or `document` that are read; None where there is no limit."""
        return longest(self._model, kind)

    @property
    def beyond(self) -> dict[str, int]:
        """Tokens that it would read of each kind of text of which it was asked to read less."""
        return {kind: most for kind, most in self._own.items() if most > (self.longest(kind) or most)}

    def encode(self, texts: Sequence[str], kind: str, progress: Done | None = None) -> np.ndarray:
        """Vectors of `query` or `document` texts, float32 [texts, dim], in the order given.

        Raises ModelError where the model gives NaN or infinity, naming the first such text.
        """
        return self.encode_telling_cuts(texts, kind, progress)[0]

    def encode_telling_cuts(
        self, texts: Sequence[str], kind: str, progress: Done | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `encode`, and with it bool [texts]: which of them are longer, prompt and all, than the model reads.

        Where the model puts a chat's frame around a text, one that just fits without it is cut and not told.
        """
        vectors = np.empty((len(texts), self.dim), np.float32)
        lengths, is_cut = self._measured(texts, kind)
        with torch.inference_mode():
            for batch, features in self._prepared(texts, kind, lengths):
                vectors[batch] = self._embed(features, kind)
                if progress:
                    progress(len(batch))
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            first, dtype = texts[int(np.argmin(finite))], str(self._model.dtype).removeprefix("torch.")
            raise ModelError(
                f"{self._name}: {int((~finite).sum())} of {len(texts)} vectors hold NaN or infinity, the "
                f"first for {first[:60]!r}; the checkpoint is damaged or overflows in {dtype}"
            )
        return vectors, is_cut

    def _prepared(
        self, texts: Sequence[str], kind: str, lengths: np.ndarray
    ) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Batches with their model inputs; one batch is tokenised ahead in a thread."""
        prompt = self._prompts[kind]
        with ThreadPoolExecutor(1) as ahead:
            waiting = None
            for batch in token_batches(lengths, self._batch_tokens):
                # task: a Router sends queries and documents through different layers
                chosen = [texts[i] for i in batch]
                job = ahead.submit(self._features, chosen, prompt, kind)
                if waiting:
                    yield waiting[0], waiting[1].result()
                waiting = (batch, job)
            if waiting:
                yield waiting[0], waiting[1].result()

    def _features(self, texts: list[str], prompt: str, kind: str) -> dict[str, Any]:
        """Model inputs. ModelError for a token that the model has no vector for."""
        features: dict[str, Any] = self._model.preprocess(texts, prompt=prompt or None, task=kind)
        ids, reader = features.get("input_ids"), reader_of(self._model, kind)
        matrix = reader.auto_model.get_input_embeddings() if isinstance(reader, Transformer) else None
        if not isinstance(matrix, nn.Embedding) or not isinstance(ids, torch.Tensor) or not ids.numel():
            return features
        if (beyond := int(ids.max())) >= matrix.num_embeddings:
            text = texts[int((ids == beyond).any(dim=1).nonzero()[0])] if ids.ndim == 2 else texts[0]
            raise ModelError(
                f"{self._name}: its tokenizer gives token {beyond} for {text[:60]!r}, and the embedding matrix has "
                f"{matrix.num_embeddings} rows; resize it (resize_token_embeddings) or take the tokenizer of this model"
            )
        return features

    def _measured(self, texts: Sequence[str], kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Lengths in tokens as the model reads them, int64 [texts], and which texts go on beyond, bool [texts]."""
        tokenizer = getattr(reader_of(self._model, kind), "tokenizer", None)
        # static word vectors: no padding, so any order will do, and no longest text
        if not isinstance(tokenizer, PreTrainedTokenizerBase) or not texts:
            return np.fromiter(map(len, texts), np.int64, len(texts)), np.zeros(len(texts), bool)
        prompted = [self._prompts[kind] + text for text in texts]
        longest = self.longest(kind)
        tokens = tokenizer(prompted, truncation=True, max_length=longest)
        lengths = np.fromiter(map(len, tokens["input_ids"]), np.int64, len(texts))
        if tokens.encodings:
            return lengths, np.fromiter((bool(one.overflowing) for one in tokens.encodings), bool, len(texts))
        # a tokenizer written in Python does not say what it left out
        is_cut = np.zeros(len(texts), bool)
        for at in np.flatnonzero(lengths == longest):
            is_cut[at] = len(tokenizer(prompted[at], verbose=False)["input_ids"]) > lengths[at]
        return lengths, is_cut

    def _embed(self, features: dict[str, Any], kind: str) -> np.ndarray:
        device = self._model.device
        inputs = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in features.items()
        }
        given = self._model(inputs, task=kind)
        if "sentence_embedding" not in given:
            raise ModelError(
                f"{self._name}: gives vectors of tokens and none of a text, as no layer pools them; save it with a "
                "Pooling layer, or, if it ranks by single tokens, as a MultiVectorEncoder"
            )
        vectors = given["sentence_embedding"][:, : self.dim].float()
        if vectors.shape[1] != self.dim:
            raise ModelError(
                f"{self._name}: says that its vectors have {self.dim} dimensions, and they have {vectors.shape[1]}; "
                "mend the dimensions in its Pooling's and Dense layers' config.json"
            )
        if self._normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.cpu().numpy()


def load_encoder(checkpoint: Checkpoint, device: str = "cpu", batch_tokens: int = 0) -> Encoder:
    """The checkpoint, loaded, with its prompts."""
    prompts = {kind: checkpoint.prompt(kind) for kind in KINDS}
    model, own = load(checkpoint, device)
    return Encoder(model, prompts, checkpoint.normalize, checkpoint.ref, batch_tokens, checkpoint.truncate_dim, own)


def reading_with(checkpoint: Checkpoint, encoder: Encoder) -> Reading:
    """How the loaded checkpoint turns texts into vectors."""
    return reading_of(
        checkpoint,
        pooling=encoder.pooling,
        pooling_from=checkpoint.pooling_from if encoder.pooling else "",
        query_tokens=encoder.longest("query"),
        document_tokens=encoder.longest("document"),
        own_tokens=encoder.beyond,
        dimension=encoder.dim,
        adapter_of=str(checkpoint.base or ""),
    )


def token_batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Indices of texts, int64 [batch], longest first, of at most `budget` tokens once padded, or of one text."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
