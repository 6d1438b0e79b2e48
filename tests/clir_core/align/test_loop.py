"""The training loop: what a step changes, and that no interruption changes the end."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sentence_transformers import SentenceTransformer

from clir_core.align.batches import epoch_batches, share_of
from clir_core.align.data import training_triples
from clir_core.align.loop import Trainer
from clir_core.align.objective import needs
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.encoder import Encoder
from clir_core.errors import AlignError
from clir_core.models import EncodingSpec, resolve

SPEC = AlignSpec(triples=48, loss="best", optimiser=OptimiserSpec(batch=8, learning_rate=1e-3, epochs=2))


def trainer(model: Path, cache: Path, spec: AlignSpec = SPEC) -> Trainer:
    checkpoint = resolve(str(model), EncodingSpec(), cache, "float32")
    triples = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), spec.triples, spec.seed)))
    encoder = Encoder(checkpoint)
    teacher = {
        side: encoder.encode(triples[side].fill_null("").to_list(), "query" if side.startswith("q") else "document")
        for side in needs(spec.loss).teacher
    }
    return Trainer(checkpoint, spec, triples, teacher)


def weights(trained: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.model.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def run(trained: Trainer, steps: int | None = None) -> None:
    for _ in range(trained.steps - trained.step if steps is None else steps):
        trained.run_step()


def train_and_die(model: Path, cache: Path, state: Path) -> None:
    """Train, save after the fifth step, go on, and be killed in the middle."""
    torch.set_num_threads(1)
    trained = trainer(model, cache)
    run(trained, 5)
    trained.save(state)
    run(trained, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tiny_model: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        undisturbed = trainer(tiny_model, tmp_path)
        run(undisturbed)
        child = multiprocessing.get_context("spawn").Process(
            target=train_and_die, args=(tiny_model, tmp_path, tmp_path / "state")
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        resumed = trainer(tiny_model, tmp_path)
        torch.manual_seed(1234)  # whatever the new process drew before does not matter
        resumed.restore(tmp_path / "state")
        assert resumed.step == 5
        run(resumed)
    finally:
        torch.set_num_threads(threads)
    assert resumed.step == undisturbed.steps == 12
    assert same(weights(resumed), weights(undisturbed))


def test_training_lowers_the_loss_it_is_given(tiny_model: Path, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"optimiser": SPEC.optimiser.model_copy(update={"epochs": 6})})
    trained = trainer(tiny_model, tmp_path, spec)
    losses = [trained.run_step().loss for _ in range(trained.steps)]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


def test_another_seed_ends_elsewhere(tiny_model: Path, tmp_path: Path) -> None:
    one, other = trainer(tiny_model, tmp_path), trainer(tiny_model, tmp_path, SPEC.model_copy(update={"seed": 1}))
    run(one, 1)
    run(other, 1)
    assert not same(weights(one), weights(other))


def test_a_loss_that_is_no_number_stops_and_names_the_batch(tiny_model: Path, tmp_path: Path) -> None:
    trained = trainer(tiny_model, tmp_path)
    with torch.no_grad():
        next(trained.model.parameters()).fill_(torch.nan)
    with pytest.raises(AlignError, match=r"step 1 of 12: the loss is nan .*on triples "):
        trained.run_step()


def test_the_exported_checkpoint_is_an_ordinary_one(tiny_model: Path, tmp_path: Path) -> None:
    trained = trainer(tiny_model, tmp_path)
    run(trained, 3)
    trained.export(tmp_path / "tuned")
    loaded = SentenceTransformer(str(tmp_path / "tuned"), device="cpu")
    checkpoint = resolve(str(tmp_path / "tuned"), EncodingSpec(), tmp_path, "float32")
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("query: ", "passage: ")
    ours = Encoder(checkpoint).encode(["Wo?"], "query")
    np.testing.assert_allclose(loaded.encode(["Wo?"], prompt_name="query"), ours, atol=1e-6)
    tuned = dict(trained.model.model.named_parameters())
    assert all(torch.equal(value, tuned[name]) for name, value in loaded.named_parameters() if "pooler" not in name)


@pytest.mark.parametrize("merge", [0.0, 0.25, 1.0])
def test_merging_averages_with_the_base(tiny_model: Path, tmp_path: Path, merge: float) -> None:
    spec = SPEC.model_copy(update={"optimiser": SPEC.optimiser.model_copy(update={"merge": merge})})
    trained = trainer(tiny_model, tmp_path, spec)
    base = weights(trained)
    run(trained, 2)
    tuned = weights(trained)
    trained.export(tmp_path / "merged")
    saved = SentenceTransformer(str(tmp_path / "merged"), device="cpu").state_dict()
    for name, value in saved.items():
        if value.is_floating_point() and "pooler" not in name:
            torch.testing.assert_close(value, (1 - merge) * tuned[name] + merge * base[name], rtol=1e-5, atol=1e-6)
    assert same(weights(trained), tuned)  # training may go on


def test_every_batch_is_whole_and_every_epoch_differs() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 205)
    first, second = (epoch_batches(lengths, 16, epoch, seed=3) for epoch in (0, 1))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in epoch_batches(lengths, 16, 0, seed=3)]
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
    seen = np.concatenate(first)
    assert len(first) == 205 // 16 and len(set(seen)) == len(seen) == 16 * len(first)
    # like lengths together: much less padding than in a plain shuffle
    plain = np.split(np.random.default_rng(1).permutation(205)[: len(seen)], len(first))
    spread, by_chance = (np.mean([np.ptp(lengths[batch]) for batch in cut]) for cut in (first, plain))
    assert spread < by_chance / 3


def test_workers_share_a_batch() -> None:
    batch = np.arange(12)
    assert np.concatenate([share_of(batch, worker, 3) for worker in range(3)]).tolist() == batch.tolist()
