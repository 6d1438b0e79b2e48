"""The training loop's one step, and a state that another process can go on from.

One Trainer a worker. It knows nothing of Ray: gradients meet through torch.distributed where that is initialised.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from clir_core.align.result import Progressed
from clir_core.align.spec import AlignSpec
from clir_core.align.train.batches import Batches, share_of
from clir_core.align.train.embeddings import Embeddings, numbers, pairs, spread
from clir_core.align.train.gathering import gathered
from clir_core.align.train.grad_cache import cached_step, in_parts
from clir_core.align.train.judged import Judged, at_hand
from clir_core.align.train.objective import needs, objective
from clir_core.align.train.parts import lengths, tokens, used_dim
from clir_core.align.train.state import load_state, random_state, save_state, set_random_state
from clir_core.align.train.teacher import KIND, Teacher
from clir_core.align.train.trainable import Features, Trainable
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint

_EVALUATION_BATCH = 64


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
        torch.manual_seed(spec.seed)  # parts that the checkpoint lacks are drawn
        self.step, self.device, self.worker = 0, device, worker
        self._spec, self._triples, self._teacher = spec, triples, teacher
        self._checkpoint = checkpoint
        self._trained = Trainable(checkpoint, spec, device).train()
        self._dim = used_dim(self._trained.model, checkpoint)
        # DistributedDataParallel, where there are several workers
        self._prepared = prepare(self._trained)
        self._optimiser = torch.optim.AdamW(self._trained.groups(), fused=True)
        lengths = triples.select(pl.col("p_en").str.len_bytes() + pl.col("p_x").str.len_bytes()).to_series()
        self._batches = Batches(lengths.to_numpy(), spec.optimiser.batch, spec.epochs, spec.seed)
        self.steps = self._batches.steps
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._rate)
        # one text under two ids is one passage, or one query
        first = (pl.col("group_id").first().over("p_en"), pl.col("query_group_id").first().over("q_en"))
        known = triples.select("lang", *first)
        self._labels = {name: numbers(known[name].to_list()) for name in known.columns}
        self._answers_P = pairs(self._labels["query_group_id"], self._labels["group_id"]).unique()
        self._needs = needs(spec.loss)
        # other masks for each worker's rows
        torch.manual_seed(int(np.random.SeedSequence([spec.seed, worker]).generate_state(1)[0]))

    @property
    def model(self) -> Trainable:
        """What is trained."""
        return self._trained

    def run_step(self) -> Progressed:
        """One step on this worker's share of the next batch.

        AlignError where the loss or its gradient is no number; the weights are then still those of the last step.
        """
        batch_N = self._batches.rows(self.step)
        self._optimiser.zero_grad(set_to_none=True)
        total, parts = self._backward(share_of(batch_N, self.worker, self._spec.workers))
        gradient = nn.utils.clip_grad_norm_(self._trained.parameters(), self._spec.optimiser.clip)
        self._check(total, gradient, parts, batch_N)
        rate = self._spec.rate * self._rate(self.step)
        self._optimiser.step()
        self._schedule.step()
        self.step += 1
        return Progressed(
            step=self.step,
            loss=total.item(),
            parts={name: value.item() for name, value in parts.items()},
            rate=rate,
            gradient=gradient.item(),
        )

    def save(self, folder: Path) -> None:
        """Write the state that `restore` goes on from. Every worker must call it; the first one writes."""
        random_WB = gathered(random_state(self.device).to(self.device)[None]).cpu()
        if self.worker == 0:
            save_state(folder, self._trained.weights(), self._optimiser, self._schedule, self.step, random_WB)

    def restore(self, directory: Path) -> None:
        """Go on from a saved state, to the same weights as if nothing had happened."""
        self.step, random_WB = load_state(directory, self._trained.weights(), self._optimiser, self._schedule)
        set_random_state(random_WB[self.worker], self.device)

    def merged(self) -> AbstractContextManager[None]:
        """Within it, `embed` and `export` use the weights of the checkpoint: those of the base are mixed in."""
        return self._trained.merged()

    def embed(self, texts: Sequence[str], kind: str, most: int | None = None, exact: bool = False) -> Tensor:
        """Vectors [texts, D] of `query` or `document` texts with the present weights, as they are ranked.

        Texts are cut as in training, or at `most` tokens; where `exact`, nothing is computed in 16 bits.
        """
        longest_first = sorted(range(len(texts)), key=lambda i: -len(texts[i].encode()))
        found: list[Tensor] = []
        with self._evaluating():
            for start in range(0, len(texts), _EVALUATION_BATCH):
                batch = [texts[i] for i in longest_first[start : start + _EVALUATION_BATCH]]
                inputs = self._inputs(batch, kind, most)
                found.append((self._trained(inputs) if exact else self._forward(inputs, self._trained)).float())
        vectors = torch.cat(found)[torch.tensor(longest_first).argsort()][:, : self._dim]
        return nn.functional.normalize(vectors, dim=1) if self._checkpoint.normalize else vectors

    def export(self, directory: Path) -> None:
        """Write the present weights as an ordinary sentence-transformers directory."""
        self._trained.save(directory)

    def judged(self) -> Judged:
        """Vectors of a few texts with the present weights, as an audit of what is exported has them."""
        most = self._checkpoint.max_tokens

        def encode(texts: Sequence[str], kind: str) -> np.ndarray:
            return self.embed(texts, kind, most, exact=True).cpu().numpy()

        return Judged.of(at_hand(self._triples, most), encode, lengths(self._trained.model))

    def is_sound(self) -> bool:
        """Whether the present weights embed texts to numbers: a step that was too long shows only in the next."""
        rows = self._batches.rows(0)
        return bool(torch.isfinite(self.embed(self._triples["p_x"].gather(rows).to_list(), "document")).all())

    def _backward(self, rows: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        texts = self._texts(rows)
        micro = self._spec.optimiser.micro_batch
        if micro and micro < len(rows):
            no_sync = getattr(self._prepared, "no_sync", None)
            extra = {"no_sync": no_sync} if no_sync else {}
            chunks = [(side, self._inputs(part, KIND[side])) for side, part in in_parts(texts, micro)]
            return cached_step(self._forward, chunks, lambda found: self._objective(found, rows), **extra)
        found = {side: self._forward(self._inputs(part, KIND[side])) for side, part in texts.items()}
        total, parts = self._objective(found, rows)
        total.backward()
        return total.detach(), parts

    def _forward(self, features: Features, module: nn.Module | None = None) -> Tensor:
        # 16 bits where the device computes them faster; weights and the loss stay in 32
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.device.startswith("cuda")):
            return (module or self._prepared)(features)

    def _objective(self, found: Mapping[str, Tensor], rows: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        student = dict(found)
        has_q_x_N = torch.from_numpy(self._triples["q_x"].gather(rows).is_not_null().to_numpy().copy())
        has_q_x_N = (has_q_x_N & ("q_x" in student)).to(self.device)
        if "q_x" in student:
            student["q_x"] = spread(student["q_x"], has_q_x_N)
        negatives_PH = student.pop("negatives", None)
        has_negative_NK = self._has_negative(rows).to(self.device)
        at = torch.from_numpy(rows)
        embeddings = Embeddings(
            student=student,
            group_N=self._labels["group_id"][at].to(self.device),
            query_group_N=self._labels["query_group_id"][at].to(self.device),
            lang_N=self._labels["lang"][at].to(self.device),
            answers_P=self._answers_P.to(self.device),
            teacher={side: torch.from_numpy(values[rows]).to(self.device) for side, values in self._teacher.items()},
            has_q_x_N=has_q_x_N,
            negatives_NKH=None if negatives_PH is None else spread(negatives_PH, has_negative_NK),
            has_negative_NK=None if negatives_PH is None else has_negative_NK,
        )
        return objective(embeddings, self._spec.loss)

    def _texts(self, rows: np.ndarray) -> dict[str, list[str]]:
        """Texts of the sides that the loss reads, those of no text left out."""
        texts = {side: self._triples[side].gather(rows).drop_nulls().to_list() for side in sorted(self._needs.student)}
        if self._needs.negatives:
            texts["negatives"] = [text for of_row in self._triples["negatives"].gather(rows) for text in of_row]
        return {side: found for side, found in texts.items() if found}

    def _has_negative(self, rows: np.ndarray) -> Tensor:
        """Where a row's negatives are among as many places as the row with most of them has: [N, K]."""
        counts_N = torch.tensor(self._triples["negatives"].gather(rows).list.len().to_list())
        return torch.arange(int(counts_N.max())) < counts_N[:, None]

    def _inputs(self, texts: list[str], kind: str, most: int | None = None) -> dict[str, Any]:
        found = self._trained.inputs(texts, kind, most or tokens(self._spec.optimiser)[kind])
        return {name: value.to(self.device) if isinstance(value, Tensor) else value for name, value in found.items()}

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self._trained.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self._trained.train()

    def _check(self, total: Tensor, gradient: Tensor, parts: Mapping[str, Tensor], batch_N: np.ndarray) -> None:
        if torch.isfinite(total) and torch.isfinite(gradient):
            return
        values = ", ".join(f"{name} {value.item():.4g}" for name, value in parts.items())
        triples = ", ".join(self._triples["triple_id"].gather(batch_N[:5]))
        raise AlignError(
            f"step {self.step + 1} of {self.steps}: the loss is {total.item():.4g} ({values}) and its gradient "
            f"{gradient.item():.4g}, on a batch of {len(batch_N)} triples, {triples}, ...; lower "
            "optimiser.learning_rate or look at these texts"
        )

    def _rate(self, step: int) -> float:
        """Linear warm-up, then linear decay to 0."""
        warm = max(1, round(self._spec.optimiser.warmup * self.steps))
        return min((step + 1) / warm, max(0.0, (self.steps - step) / max(1, self.steps - warm)))
