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

from clir_core.align.data import training_triples
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.align.train.batches import Batches, epoch_batches, share_of
from clir_core.align.train.loop import Trainer
from clir_core.align.train.objective import needs
from clir_core.align.train.parts import tokens
from clir_core.align.train.state import newest_state
from clir_core.align.train.teacher import teacher
from clir_core.errors import AlignError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import load_encoder

SPEC = AlignSpec(
    triples=48,
    loss={"distill_passages": 10.0, "distill_queries": 10.0, "info_nce": 1.0},
    optimiser=OptimiserSpec(batch=8, learning_rate=1e-3, epochs=2),
)


def trainer(model: Path, cache: Path, spec: AlignSpec = SPEC, triples: pl.DataFrame | None = None) -> Trainer:
    checkpoint = resolve(str(model), EncodingSpec(), cache, "float32")
    if triples is None:
        triples = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), spec.triples, spec.seed)))
    frozen = teacher(
        checkpoint, tokens(spec.optimiser), triples, needs(spec.loss).teacher, cache / f"teacher-{spec.identity()[:8]}"
    )
    return Trainer(checkpoint, spec, triples, frozen)


def weights(trained: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.model.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def run(trained: Trainer, steps: int | None = None) -> None:
    for _ in range(trained.steps - trained.step if steps is None else steps):
        trained.run_step()


def without_dropout(trained: Trainer) -> Trainer:
    for module in trained.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return trained


def train_and_die(model: Path, cache: Path, states: Path) -> None:
    """Train, save after the fifth step, go on, and be killed in the middle."""
    torch.set_num_threads(1)
    trained = trainer(model, cache)
    run(trained, 5)
    trained.save(states)
    run(trained, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tiny_model: Path, tmp_path: Path) -> None:
    undisturbed = trainer(tiny_model, tmp_path)
    run(undisturbed)
    child = multiprocessing.get_context("spawn").Process(
        target=train_and_die, args=(tiny_model, tmp_path, tmp_path / "states")
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    resumed = trainer(tiny_model, tmp_path)
    torch.manual_seed(1234)  # whatever the new process drew before does not matter
    state = newest_state(tmp_path / "states")
    assert state
    resumed.restore(state)
    assert resumed.step == 5
    run(resumed)
    assert resumed.step == undisturbed.steps == 12
    assert same(weights(resumed), weights(undisturbed))


def test_training_lowers_the_loss_it_is_given(tiny_model: Path, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"optimiser": SPEC.optimiser.model_copy(update={"epochs": 6})})
    trained = trainer(tiny_model, tmp_path, spec)
    losses = [trained.run_step().loss for _ in range(trained.steps)]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


def test_the_rate_is_that_of_the_layers_not_of_the_embedding_matrix(tiny_model: Path, tmp_path: Path) -> None:
    changes = {"embedding_rate_factor": 0.1, "warmup": 0.0}
    spec = SPEC.model_copy(update={"optimiser": SPEC.optimiser.model_copy(update=changes)})
    assert trainer(tiny_model, tmp_path, spec).run_step().rate == pytest.approx(1e-3)


def test_one_text_under_two_ids_is_one_passage(tiny_model: Path, tmp_path: Path) -> None:
    triples = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), 8, 0)))
    copies = pl.concat([triples, triples.with_columns(pl.col("triple_id", "group_id", "query_group_id") + "-copy")])
    trained = trainer(tiny_model, tmp_path, SPEC, copies)
    for name in ("group_id", "query_group_id"):
        assert torch.equal(trained._labels[name][:8], trained._labels[name][8:])


def test_another_seed_ends_elsewhere(tiny_model: Path, tmp_path: Path) -> None:
    one, other = trainer(tiny_model, tmp_path), trainer(tiny_model, tmp_path, SPEC.model_copy(update={"seed": 1}))
    run(one, 1)
    run(other, 1)
    assert not same(weights(one), weights(other))


def test_a_loss_that_is_no_number_stops_and_names_the_batch(tiny_model: Path, tmp_path: Path) -> None:
    trained = trainer(tiny_model, tmp_path)
    with torch.no_grad():
        next(trained.model.parameters()).fill_(torch.nan)
    with pytest.raises(AlignError, match=r"step 1 of 12: the loss is nan .*on a batch of 8 triples, \S+\|\S+\|"):
        trained.run_step()
    assert trained.step == 0


def test_a_gradient_that_is_no_number_stops_before_it_spoils_the_weights(tiny_model: Path, tmp_path: Path) -> None:
    trained = trainer(tiny_model, tmp_path)
    run(trained, 1)
    before = weights(trained)
    weight = trained.model.get_parameter("model.0.model.encoder.layer.0.attention.self.query.weight")
    weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(AlignError, match=r"step 2 of 12: the loss is [0-9.]+ .* its gradient (inf|nan)"):
        trained.run_step()
    assert same(weights(trained), before)


def test_the_exported_checkpoint_is_an_ordinary_one(tiny_model: Path, tmp_path: Path) -> None:
    trained = trainer(tiny_model, tmp_path)
    run(trained, 3)
    trained.export(tmp_path / "tuned")
    loaded = SentenceTransformer(str(tmp_path / "tuned"), device="cpu")
    checkpoint = resolve(str(tmp_path / "tuned"), EncodingSpec(), tmp_path, "float32")
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("query: ", "passage: ")
    texts = ["Wo?", "Wo ist denn nun das andere?", ""]
    ours = load_encoder(checkpoint).encode(texts, "query")
    np.testing.assert_allclose(loaded.encode(texts, prompt_name="query"), ours, atol=1e-6)
    np.testing.assert_allclose(trained.embed(texts, "query"), ours, atol=1e-6)
    tuned = dict(trained.model.model.named_parameters())
    assert all(torch.equal(value, tuned[name]) for name, value in loaded.named_parameters() if "pooler" not in name)


@pytest.mark.parametrize("merge", [0.0, 0.25, 1.0])
def test_merging_averages_with_the_base(tiny_model: Path, tmp_path: Path, merge: float) -> None:
    spec = SPEC.model_copy(update={"optimiser": SPEC.optimiser.model_copy(update={"merge": merge})})
    trained = trainer(tiny_model, tmp_path, spec)
    base = weights(trained)
    run(trained, 2)
    tuned = weights(trained)
    with trained.merged():
        trained.export(tmp_path / "merged")
        evaluated = trained.embed(["Wo?"], "query")
    saved = SentenceTransformer(str(tmp_path / "merged"), device="cpu")
    np.testing.assert_allclose(saved.encode(["Wo?"], prompt_name="query"), evaluated, atol=1e-6)
    for name, value in saved.state_dict().items():
        if value.is_floating_point() and "pooler" not in name:
            torch.testing.assert_close(value, (1 - merge) * tuned[name] + merge * base[name], rtol=1e-5, atol=1e-6)
    assert same(weights(trained), tuned)  # training may go on


@pytest.mark.parametrize("micro_batch", [0, 3])
def test_hard_negatives_count_where_a_row_has_some(tiny_model: Path, tmp_path: Path, micro_batch: int) -> None:
    optimiser = OptimiserSpec(batch=6, micro_batch=micro_batch)
    spec = AlignSpec(triples=6, loss={"clear_forward": 1.0, "temperature": 1.0}, optimiser=optimiser)
    plain = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), 6, 0)))
    negatives = [["About bread."], [], ["Of bees.", "A lake."], [], [], []]
    hard = plain.with_columns(negatives=pl.Series(negatives, dtype=pl.List(pl.String)))
    trained = without_dropout(trainer(tiny_model, tmp_path, spec, hard))
    q_en, p_en = trained.embed(hard["q_en"], "query").numpy(), trained.embed(hard["p_en"], "document").numpy()
    own = [trained.embed(texts, "document").numpy() if texts else np.empty((0, 32)) for texts in negatives]
    expected = []
    for n, (group, query) in enumerate(hard.select("group_id", "query_group_id").iter_rows()):
        others = hard.filter((pl.col("group_id") != group) & (pl.col("query_group_id") != query))
        rows = [hard["triple_id"].to_list().index(name) for name in others["triple_id"]]
        scores = np.concatenate([p_en[[n, *rows]], own[n]]) @ q_en[n]
        expected.append(np.log(np.exp(scores).sum()) - scores[0])
    assert trained.run_step().loss == pytest.approx(np.mean(expected), rel=1e-5)


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


def test_a_run_sees_the_batches_of_its_epochs_in_turn() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 50)
    batches = Batches(lengths, 8, epochs=2, seed=3)
    assert batches.steps == 12
    expected = [*epoch_batches(lengths, 8, 0, seed=3), *epoch_batches(lengths, 8, 1, seed=3)]
    order = [3, 11, 0, *range(12)]  # a resumed run starts anywhere
    assert [batches.rows(step).tolist() for step in order] == [expected[step].tolist() for step in order]
