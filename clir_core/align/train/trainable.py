"""A checkpoint with gradients: what is trained, at which rates, and how it becomes an ordinary directory again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch import Tensor, nn

from clir_core.align.spec import AlignSpec
from clir_core.align.train.adapter import add_adapter, has_adapter, is_scale
from clir_core.align.train.parts import body, cut, embedding_matrices, save
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint
from clir_core.model.loading import load_as_saved

# what a text becomes before the model: tensors, and what its parts must know beside them
Features = Mapping[str, Any]
_KIND = "kind"  # of the texts, beside the library's own features


class Trainable(nn.Module):
    """A sentence-transformers model whose embeddings are those before its normalisation."""

    def __init__(self, checkpoint: Checkpoint, spec: AlignSpec, device: str) -> None:
        super().__init__()
        self.model = load_as_saved(checkpoint, device)
        if not any(isinstance(part, Transformer | StaticEmbedding) for part in self.model.modules()):
            first = type(self.model[0]).__name__
            raise AlignError(
                f"{checkpoint.ref}: its first part is {first}, and training needs a transformer or a static embedding; "
                "a head alone can be fitted to it: --loss none"
            )
        if has_adapter(self.model):
            raise AlignError(
                f"{checkpoint.ref}: is an adapter, and neither it nor its base is trained from here; fit a head alone "
                "with --loss none, or save it merged: model[0].model = peft's merge_and_unload(), save_pretrained"
            )
        frozen = [name for name, weight in self.model.named_parameters() if not weight.is_floating_point()]
        if frozen:
            raise AlignError(f"{checkpoint.ref}: {frozen[0]} is not floating point (quantised?) and cannot be trained")
        self._checkpoint, self._spec = checkpoint, spec
        if spec.adapter:
            add_adapter(self.model, spec.adapter, checkpoint)
        self._embeddings = embedding_matrices(self.model) if spec.optimiser.embedding_rate_factor != 1 else set()
        for weight in self.model.parameters():
            if id(weight) in self._embeddings:
                weight.requires_grad_(weight.requires_grad and spec.optimiser.embedding_rate_factor > 0)
        # in a tuple: its modules are the model's, and belong to this one once
        self._body = (body(self.model),)
        self._base = self._merged_with()

    def forward(self, features: Features) -> Tensor:
        """Pooled embeddings [N, H] of `inputs`."""
        values = dict(features)
        kind = values.pop(_KIND)
        embeddings: Tensor = self._body[0](values, task=kind)["sentence_embedding"]
        return embeddings

    def inputs(self, texts: Sequence[str], kind: str, tokens: int) -> dict[str, Any]:
        """Model inputs of `query` or `document` texts with their prompt, cut and padded, as the encoder makes them."""
        most = min(tokens, self._checkpoint.max_tokens)
        with cut(self.model, {kind: most}):
            found = self.model.preprocess(list(texts), prompt=self._checkpoint.prompt(kind) or None, task=kind)
        return {**found, _KIND: kind}

    def weights(self) -> dict[str, nn.Parameter]:
        """What is trained, tied weights once."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def groups(self) -> list[dict[str, object]]:
        """AdamW's parameter groups: the embedding matrix has a rate of its own; biases and norms do not decay."""
        optimiser = self._spec.optimiser
        found: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for weight in self.weights().values():
            found.setdefault((id(weight) in self._embeddings, weight.ndim > 1), []).append(weight)
        return [
            {
                "params": weights,
                "lr": self._spec.rate * (optimiser.embedding_rate_factor if is_embedding else 1.0),
                "weight_decay": optimiser.weight_decay if decays else 0.0,
            }
            for (is_embedding, decays), weights in found.items()
        ]

    @contextmanager
    def merged(self) -> Iterator[None]:
        """Within it the weights are those that are saved: a share of the base's, the rest of the tuned ones'."""
        weights = self.weights()
        tuned = {name: weights[name].detach().clone() for name in self._base}
        with torch.no_grad():
            for name, base in self._base.items():
                weights[name].copy_(torch.lerp(tuned[name], base, self._spec.optimiser.merge))
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in tuned.items():
                    weights[name].copy_(weight)

    def save(self, directory: Path) -> None:
        """Write an ordinary checkpoint with the weights as they are, or an adapter on the base."""
        save(self.model, self._checkpoint, directory)

    def _merged_with(self) -> dict[str, Tensor]:
        """The base's share of each weight that is mixed; an adapter is mixed with nothing by making it smaller."""
        if not self._spec.optimiser.merge:
            return {}
        mixed = {name: weight for name, weight in self.weights().items() if not self._spec.adapter or is_scale(name)}
        return {name: weight.detach().clone() for name, weight in mixed.items()}
