"""A checkpoint with gradients: what is trained, at which rates, and how it becomes an ordinary directory again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from torch import Tensor, nn

from clir_core.align.spec import OptimiserSpec
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load

Features = Mapping[str, Tensor]


class Trainable(nn.Module):
    """A sentence-transformers model whose embeddings are those before its normalisation."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        super().__init__()
        self.model: SentenceTransformer = load(checkpoint, device)
        if not isinstance(self.model[0], Transformer):
            raise AlignError(
                f"{checkpoint.ref}: its first part is {type(self.model[0]).__name__}, and training needs a transformer"
            )
        frozen = [name for name, weight in self.model.named_parameters() if not weight.is_floating_point()]
        if frozen:
            raise AlignError(f"{checkpoint.ref}: {frozen[0]} is not floating point (quantised?) and cannot be trained")
        self._checkpoint = checkpoint

    def forward(self, features: Features) -> Tensor:
        """Pooled embeddings [N, H] of tokenised texts."""
        values = dict(features)
        for module in self.model:
            if not isinstance(module, Normalize):
                values = module(values)
        return values["sentence_embedding"]

    def tokenised(self, texts: list[str], kind: str, tokens: int) -> dict[str, Tensor]:
        """Model inputs [texts, tokens] of `query` or `document` texts with their prompt, cut and padded."""
        prompted = [self._checkpoint.prompt(kind) + text for text in texts]
        most = min(tokens, self.model.max_seq_length or tokens)
        found = self.model.tokenizer(prompted, truncation=True, max_length=most, padding=True, return_tensors="pt")
        return dict(found)

    def groups(self, spec: OptimiserSpec) -> list[dict[str, object]]:
        """AdamW's parameter groups: the embedding matrix has a rate of its own; biases and norms do not decay."""
        found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, weight in self.model.named_parameters():
            if "word_embeddings" in name or "embed_tokens" in name:
                weight.requires_grad_(spec.embedding_rate_factor > 0)
            if weight.requires_grad:
                is_embedding = "word_embeddings" in name or "embed_tokens" in name
                found.setdefault((is_embedding, weight.ndim > 1), []).append(weight)
        return [
            {
                "params": weights,
                "lr": spec.learning_rate * (spec.embedding_rate_factor if is_embedding else 1.0),
                "weight_decay": spec.weight_decay if decays else 0.0,
            }
            for (is_embedding, decays), weights in found.items()
        ]

    @contextmanager
    def merged(self, base: Mapping[str, Tensor], merge: float) -> Iterator[None]:
        """Within it the weights are those that are saved: `merge` of the base's, the rest of the tuned ones'."""
        if not merge:
            yield
            return
        tuned = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.model.load_state_dict({name: torch.lerp(weight, base[name], merge) for name, weight in tuned.items()})
        try:
            yield
        finally:
            self.model.load_state_dict(tuned)

    def save(self, directory: Path) -> None:
        """Write an ordinary checkpoint with the weights as they are."""
        self.model.prompts = {"query": self._checkpoint.query_prompt, "document": self._checkpoint.document_prompt}
        self.model.save_pretrained(str(directory), create_model_card=False)
