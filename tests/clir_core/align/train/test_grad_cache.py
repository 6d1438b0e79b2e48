"""A step in micro-batches gives the gradient of the whole step, dropout included."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from clir_core.align.train.grad_cache import cached_step, in_parts
from clir_core.align.train.losses import info_nce, sqrt_jsd

N, MICRO = 7, 3


def inputs() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    sides = {}
    for side, length in (("q_en", 5), ("p_x", 11), ("p_en", 9)):
        ids = torch.randint(4, 250, (N, length), generator=generator)
        mask = torch.arange(length) < torch.randint(2, length + 1, (N, 1), generator=generator)
        sides[side] = {"input_ids": ids, "attention_mask": mask.long()}
    return sides


def chunks(size: int, **more: dict[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    """Inputs in parts of at most so many rows."""
    return [
        (side, {name: value[start : start + size] for name, value in features.items()})
        for side, features in (inputs() | more).items()
        for start in range(0, N, size)
    ]


def objective(embeddings: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    contrast = info_nce(embeddings["p_x"], embeddings["q_en"], 0.5)
    jsd = sqrt_jsd(embeddings["p_x"], embeddings["p_en"])
    return contrast + 2 * jsd, {"contrast": contrast, "jsd": jsd}


class Encoder(nn.Module):
    """Mean over the first and last layer's tokens, and a note of every call."""

    def __init__(self, directory: Path, dropout: float) -> None:
        super().__init__()
        from transformers import BertModel

        rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        self.bert = BertModel.from_pretrained(directory, add_pooling_layer=False, **rates).double().train()
        self.calls: list[tuple[int, bool]] = []

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        hidden = self.bert(**features).last_hidden_state
        self.calls.append((len(hidden), hidden.requires_grad))
        mask = features["attention_mask"][:, :, None]
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)

    def gradients(self) -> dict[str, Tensor]:
        return {name: weight.grad for name, weight in self.named_parameters() if weight.grad is not None}


def plain_step(encoder: Encoder, micro_batch: int) -> Tensor:
    """The same micro-batches in the same order, all with their graphs, and one backward."""
    found: dict[str, list[Tensor]] = {}
    for side, part in chunks(micro_batch):
        found.setdefault(side, []).append(encoder(part))
    embeddings = {side: torch.cat(parts) for side, parts in found.items()}
    total, _ = objective(embeddings)
    total.backward()
    return total.detach()


def test_equals_the_plain_step_with_dropout(tiny_model: Path):
    plain, cached, other = (Encoder(tiny_model, dropout=0.3) for _ in range(3))
    torch.manual_seed(1)
    expected = plain_step(plain, MICRO)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    total, parts = cached_step(cached, chunks(MICRO), objective)
    assert torch.equal(torch.rand(3), drawn), "the random state goes on as after the plain step"
    assert not total.requires_grad and not parts["jsd"].requires_grad
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(cached.gradients(), plain.gradients(), rtol=1e-9, atol=1e-12)
    torch.manual_seed(2)
    assert not torch.isclose(plain_step(other, MICRO), expected, rtol=1e-3), "dropout is on"


@pytest.mark.parametrize("micro_batch", [1, 4, 50])
def test_equals_one_batch_without_dropout(tiny_model: Path, micro_batch: int):
    plain, cached = Encoder(tiny_model, dropout=0.0), Encoder(tiny_model, dropout=0.0)
    expected = plain_step(plain, N)
    total, parts = cached_step(cached, chunks(micro_batch), objective)
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(parts["contrast"] + 2 * parts["jsd"], expected)
    torch.testing.assert_close(cached.gradients(), plain.gradients(), rtol=1e-7, atol=1e-10)


def test_holds_one_micro_batch_at_a_time_and_exchanges_once(tiny_model: Path):
    encoder = Encoder(tiny_model, dropout=0.0)
    quiet: list[int] = []

    @contextmanager
    def no_sync():
        before = len(encoder.calls)
        yield
        quiet.append(len(encoder.calls) - before)

    cached_step(encoder, chunks(MICRO), objective, no_sync)
    # 7 rows of 3 sides: 3 + 3 + 1 each
    assert encoder.calls == [(rows, with_graph) for with_graph in (False, True) for rows in (3, 3, 1) * 3]
    assert quiet == [1] * 8


def test_gradients_add_to_those_that_are_there(tiny_model: Path):
    encoder = Encoder(tiny_model, dropout=0.0)
    cached_step(encoder, chunks(MICRO), objective)
    once = {name: value.clone() for name, value in encoder.gradients().items()}
    cached_step(encoder, chunks(MICRO), objective)
    torch.testing.assert_close(encoder.gradients(), {name: 2 * value for name, value in once.items()})


def test_a_side_that_is_not_read(tiny_model: Path):
    plain, cached = Encoder(tiny_model, dropout=0.0), Encoder(tiny_model, dropout=0.0)
    plain_step(plain, N)
    seen: list[set[str]] = []

    def noting(embeddings: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        seen.append(set(embeddings))
        return objective(embeddings)

    cached_step(cached, chunks(MICRO, unread=inputs()["q_en"]), noting)
    assert seen == [{"q_en", "p_x", "p_en", "unread"}]
    torch.testing.assert_close(cached.gradients(), plain.gradients(), rtol=1e-7, atol=1e-10)


def test_texts_are_parted_side_by_side():
    parts = list(in_parts({"p_en": ["a", "b", "c"], "q_en": ["d"]}, 2))
    assert parts == [("p_en", ["a", "b"]), ("p_en", ["c"]), ("q_en", ["d"])]
