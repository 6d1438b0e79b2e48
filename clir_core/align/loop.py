"""The training loop: steps over batches of triples, and a state that another process can go on from.

One Trainer a worker. It knows nothing of Ray: gradients meet through torch.distributed where that is initialised.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from clir_core.align.batches import epoch_batches, share_of
from clir_core.align.embeddings import Embeddings, numbers
from clir_core.align.grad_cache import cached_step
from clir_core.align.objective import needs, objective
from clir_core.align.spec import AlignSpec
from clir_core.align.state import load_state, save_state
from clir_core.align.trainable import Trainable
from clir_core.errors import AlignError
from clir_core.models import Checkpoint

KIND = {"q_en": "query", "q_x": "query", "p_en": "document", "p_x": "document"}
# frozen embeddings of the triples' texts by side, float32 [triples, H]; rows without a q_x are zeros
Teacher = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Step:
    """What one step says of itself."""

    step: int
    loss: float
    parts: dict[str, float]
    rate: float
    gradient: float


class Trainer:
    """Weights, optimiser and position of one training run."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        spec: AlignSpec,
        triples: pl.DataFrame,
        teacher: Teacher,
        device: str = "cpu",
        worker: int = 0,
        prepare: Callable[[nn.Module], nn.Module] = lambda module: module,
    ) -> None:
        torch.manual_seed(spec.seed)
        self.step = 0
        self._spec, self._triples, self._teacher = spec, triples, teacher
        self._device, self._worker = device, worker
        self._trained = Trainable(checkpoint, device).train()
        self._base = {name: value.clone() for name, value in self._trained.model.state_dict().items()}
        self._lengths = triples.select(pl.col("p_en").str.len_bytes() + pl.col("p_x").str.len_bytes()).to_series()
        groups = self._trained.groups(spec.optimiser)
        # DistributedDataParallel, where there are several workers
        self._forward = prepare(self._trained)
        self._optimiser = torch.optim.AdamW(groups)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._rate)
        self._labels = {name: numbers(triples[name].to_list()) for name in ("group_id", "query_group_id", "lang")}
        self.best: float | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self._steps_an_epoch * self._spec.optimiser.epochs

    @property
    def model(self) -> Trainable:
        """What is trained."""
        return self._trained

    def run_step(self) -> Step:
        """One step on this worker's share of the next batch. AlignError where the loss is no number."""
        rows = self._next_rows()
        self._optimiser.zero_grad(set_to_none=True)
        total, parts = self._backward(rows)
        if not torch.isfinite(total):
            raise AlignError(
                f"step {self.step + 1} of {self.steps}: the loss is {total.item()} ("
                + ", ".join(f"{name} {value.item():.4g}" for name, value in parts.items())
                + f"), on triples {', '.join(self._triples['triple_id'].gather(rows[:5]))}, ...; lower the learning "
                "rate or look at these texts. The last saved state is kept"
            )
        gradient = nn.utils.clip_grad_norm_(self._trained.parameters(), self._spec.optimiser.clip)
        rate = float(self._schedule.get_last_lr()[0])
        self._optimiser.step()
        self._schedule.step()
        self.step += 1
        return Step(
            self.step, total.item(), {name: value.item() for name, value in parts.items()}, rate, gradient.item()
        )

    def save(self, directory: Path) -> None:
        """Write the state that `restore` goes on from."""
        save_state(directory, self._trained, self._optimiser, self._schedule, self.step, self.best)

    def restore(self, directory: Path) -> None:
        """Go on from a saved state, to the same weights as if nothing had happened."""
        self.step, self.best = load_state(directory, self._trained, self._optimiser, self._schedule)

    def export(self, directory: Path) -> None:
        """Write the trained checkpoint as an ordinary sentence-transformers directory."""
        self._trained.save(directory, self._base, self._spec.optimiser.merge)

    def _backward(self, rows: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        sides = self._features(rows)
        micro = self._spec.optimiser.micro_batch
        if micro and micro < len(rows):
            no_sync = getattr(self._forward, "no_sync", None)
            extra = {"no_sync": no_sync} if no_sync else {}
            return cached_step(self._forward, sides, lambda found: self._objective(found, rows), micro, **extra)
        total, parts = self._objective({side: self._forward(features) for side, features in sides.items()}, rows)
        total.backward()
        return total.detach(), parts

    def _objective(self, found: Mapping[str, Tensor], rows: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        has_q_x = torch.from_numpy(self._triples["q_x"].gather(rows).is_not_null().to_numpy().copy())
        student = dict(found)
        if "q_x" in student:
            whole = student["q_x"].new_zeros(len(rows), student["q_x"].shape[1])
            whole[has_q_x.to(whole.device)] = student["q_x"]
            student["q_x"] = whole
        at = torch.from_numpy(rows)
        embeddings = Embeddings(
            student=student,
            group_N=self._labels["group_id"][at].to(self._device),
            query_group_N=self._labels["query_group_id"][at].to(self._device),
            lang_N=self._labels["lang"][at].to(self._device),
            teacher={side: torch.from_numpy(values[rows]).to(self._device) for side, values in self._teacher.items()},
            has_q_x_N=has_q_x.to(self._device) if "q_x" in student else torch.zeros_like(has_q_x).to(self._device),
        )
        return objective(embeddings, self._spec.loss)

    def _features(self, rows: np.ndarray) -> dict[str, dict[str, Tensor]]:
        """Model inputs of the sides that the loss reads."""
        spec, found = self._spec.optimiser, {}
        for side in sorted(needs(self._spec.loss).student):
            texts = self._triples[side].gather(rows).drop_nulls().to_list()
            if texts:
                kind = KIND[side]
                tokens = spec.query_tokens if kind == "query" else spec.passage_tokens
                features = self._trained.tokenised(texts, kind, tokens)
                found[side] = {name: value.to(self._device) for name, value in features.items()}
        return found

    @property
    def _steps_an_epoch(self) -> int:
        return len(epoch_batches(self._lengths.to_numpy(), self._spec.optimiser.batch, 0, self._spec.seed))

    def _next_rows(self) -> np.ndarray:
        epoch, at = divmod(self.step, self._steps_an_epoch)
        batches = epoch_batches(self._lengths.to_numpy(), self._spec.optimiser.batch, epoch, self._spec.seed)
        return share_of(batches[at], self._worker, self._spec.workers)

    def _rate(self, step: int) -> float:
        """Linear warm-up, then linear decay to 0."""
        warm = max(1, round(self._spec.optimiser.warmup * self.steps))
        return min((step + 1) / warm, max(0.0, (self.steps - step) / max(1, self.steps - warm)))
