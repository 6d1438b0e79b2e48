"""Texts to vectors with one checkpoint: sentence-transformers computes, batching is ours.

Texts are sorted by token length and cut into batches of about the same number of tokens, so almost nothing is padding;
a thread prepares the next batch while the model works on this one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from clir_core.errors import ModelError, first_line
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.linear import use_onednn

CPU_BATCH_TOKENS = 2_048
GPU_BATCH_TOKENS = 32_768

# texts that are done since the last call
Done = Callable[[int], None]


class Encoder:
    """A loaded model and how it is used. `dim` is the length of its vectors.

    `prompts` go before texts of each kind, `query` and `document`; where `normalize`, vectors get length 1.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        prompts: Mapping[str, str],
        normalize: bool,
        name: str,
        batch_tokens: int = 0,
        truncate_dim: int | None = None,
    ) -> None:
        self._model, self._prompts, self._normalize, self._name = model, prompts, normalize, name
        on_cpu = model.device.type == "cpu"
        self._batch_tokens = batch_tokens or (CPU_BATCH_TOKENS if on_cpu else GPU_BATCH_TOKENS)
        self.dim = int(model.get_embedding_dimension() or 0)
        if truncate_dim:
            self.dim = min(self.dim, truncate_dim)

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
                job = ahead.submit(self._model.preprocess, chosen, prompt=prompt or None, task=kind)
                if waiting:
                    yield waiting[0], waiting[1].result()
                waiting = (batch, job)
            if waiting:
                yield waiting[0], waiting[1].result()

    def _measured(self, texts: Sequence[str], kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Lengths in tokens as the model reads them, int64 [texts], and which texts go on beyond, bool [texts]."""
        tokenizer = self._model.tokenizer
        # static word vectors: no padding, so any order will do, and no longest text
        if not isinstance(tokenizer, PreTrainedTokenizerBase) or not texts:
            return np.fromiter(map(len, texts), np.int64, len(texts)), np.zeros(len(texts), bool)
        prompted = [self._prompts[kind] + text for text in texts]
        # some checkpoints read less of a query than of a document
        longest = getattr(self._model[0], f"{kind}_length", None) or self._model.max_seq_length
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
        vectors = self._model(inputs, task=kind)["sentence_embedding"][:, : self.dim].float()
        if self._normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.cpu().numpy()


def load_encoder(checkpoint: Checkpoint, device: str = "cpu", batch_tokens: int = 0) -> Encoder:
    """The checkpoint, loaded, with its prompts."""
    prompts = {kind: checkpoint.prompt(kind) for kind in ("query", "document")}
    model = load(checkpoint, device)
    return Encoder(model, prompts, checkpoint.normalize, checkpoint.ref, batch_tokens, checkpoint.truncate_dim)


def token_batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Indices of texts, int64 [batch], longest first, of at most `budget` tokens once padded, or of one text."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def load(checkpoint: Checkpoint, device: str) -> SentenceTransformer:
    """The checkpoint as a sentence-transformers model, in the dtype and with the length that it is used at.

    ModelError where it cannot be loaded.
    """
    model = load_as_saved(checkpoint, device)
    if isinstance(model.tokenizer, PreTrainedTokenizerBase):  # static word vectors have no length to set
        own = model.max_seq_length or checkpoint.max_tokens
        model.max_seq_length = min(own, checkpoint.max_tokens)
    model.default_prompt_name = None  # the audit chooses prompts; none may be added behind its back
    return model


def load_as_saved(checkpoint: Checkpoint, device: str) -> SentenceTransformer:
    """The same, with its own length, prompts and dimension: what is saved again keeps them."""
    # a missing BERT pooler, which no embedding uses, is reported at length otherwise
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
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
        raise ModelError(
            f"{checkpoint.ref}: cannot be loaded ({type(error).__name__}: {first_line(error)}); "
            f"does SentenceTransformer({str(checkpoint.path)!r}) load it?"
        ) from error
    use_onednn(model)
    return model.eval()
