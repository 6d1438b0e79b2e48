"""A run in its directory: cut off anywhere it ends the same, the best weights are kept, and NaN spoils nothing."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from clir_core.align.data import training_triples
from clir_core.align.result import Evaluated, Progressed
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.align.train import log as history
from clir_core.align.train import run as run_module
from clir_core.align.train import state
from clir_core.align.train.held_out import HeldOut, PoolFigures, hold_out
from clir_core.align.train.kept import kept
from clir_core.align.train.log import best, read, steps_done
from clir_core.align.train.loop import Trainer
from clir_core.align.train.run import run
from clir_core.errors import AlignError, StoreError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.model.encoder import load_encoder

SPEC = AlignSpec(
    triples=80,
    loss="paper",
    optimiser=OptimiserSpec(batch=16, learning_rate=1e-3, epochs=2, merge=0.25, query_tokens=128, passage_tokens=128),
)


class KilledError(BaseException):
    """The process ends here."""


class Scored:
    """A pool whose scores are given, in the order that they are asked for."""

    def __init__(self, *scores: float) -> None:
        self._scores = iter(scores)

    def measure(self, embed: Callable[[Sequence[str], str], torch.Tensor]) -> PoolFigures:
        score = next(self._scores)
        return PoolFigures(100 * score, score)


@pytest.fixture(scope="module")
def data() -> tuple[pl.DataFrame, pl.DataFrame]:
    triples = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), SPEC.triples, 0)))
    return hold_out(triples, 0.1, 0)


@pytest.fixture(scope="module")
def trainer(tiny_model: Path, data: tuple[pl.DataFrame, pl.DataFrame]) -> Callable[[], Trainer]:
    checkpoint = resolve(str(tiny_model), EncodingSpec(), Path("/dev/null"), "float32")
    return lambda: Trainer(checkpoint, SPEC, data[0], {})


@pytest.fixture(scope="module")
def undisturbed(
    trainer: Callable[[], Trainer], data: tuple[pl.DataFrame, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    directory = tmp_path_factory.mktemp("undisturbed")
    run(trainer(), HeldOut(data[1]), directory)
    return directory


def exported(directory: Path) -> dict[str, torch.Tensor]:
    found = kept(directory)
    assert found
    return load_file(found / "model.safetensors")


def assert_same(one: Path, other: Path) -> None:
    weights, others = exported(one), exported(other)
    assert weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def killed_at(call: int, function: Callable[..., object], after: bool) -> Callable[..., object]:
    """The function, but the process ends before or after its n-th call."""
    calls = iter(range(1, call + 1))

    def wrapped(*arguments: object, **options: object) -> object:
        last = next(calls, call) == call
        if last and not after:
            raise KilledError
        found = function(*arguments, **options)
        if last:
            raise KilledError
        return found

    return wrapped


@pytest.mark.parametrize(
    ("module", "name", "call", "after"),
    [
        (run_module, "add", 1, True),  # the base is evaluated, nothing is trained
        # a step is done and not written down
        pytest.param(run_module, "add", 5, False, marks=pytest.mark.slow),
        (run_module, "add", 5, True),
        (run_module, "write_folder", 2, True),  # a better checkpoint is written, its evaluation is not
        # steps are done and no state is written
        pytest.param(state, "write_folder", 3, False, marks=pytest.mark.slow),
        (state, "write_folder", 3, True),
        pytest.param(state, "write_folder", 8, True, marks=pytest.mark.slow),  # the last one
    ],
)
def test_a_run_that_is_cut_off_ends_the_same(
    trainer: Callable[[], Trainer],
    data: tuple[pl.DataFrame, pl.DataFrame],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
    call: int,
    after: bool,
) -> None:
    monkeypatch.setattr(run_module, "SAVING_SHARE", 1e9)  # a state after every step
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed_at(call, getattr(module, name), after))
        with pytest.raises(KilledError):
            run(trainer(), HeldOut(data[1]), tmp_path)
    torch.manual_seed(99)
    run(trainer(), HeldOut(data[1]), tmp_path)
    assert_same(tmp_path, undisturbed)
    for kind in (Progressed, Evaluated):
        found, expected = read(tmp_path, kind), read(undisturbed, kind)
        assert [one.model_copy(update={"seconds": 0}) for one in found] == [
            one.model_copy(update={"seconds": 0}) for one in expected
        ]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_it_is_evaluated_before_during_and_after(undisturbed: Path) -> None:
    steps = read(undisturbed, Progressed)
    assert [step.step for step in steps] == list(range(1, len(steps) + 1)) and len(steps) >= 8
    assert steps_done(undisturbed) == len(steps)
    assert all(step.seconds > 0 for step in steps)
    evaluated = read(undisturbed, Evaluated)
    assert [found.step for found in evaluated] == [round(len(steps) * i / 4) for i in range(5)]
    assert all(found.score == pytest.approx((found.max_at_r_norm / 100 + found.mono_acc) / 2) for found in evaluated)


@pytest.mark.parametrize(
    ("scores", "at"), [((0.9, 0.1, 0.5, 0.2, 0.3), 2), ((0, 0.1, 0.2, 0.3, 0.4), 4), ((0, 0.5, 0.5, 0.5, 0.4), 3)]
)
def test_the_best_weights_are_kept_of_equals_the_last_and_never_the_base(
    trainer: Callable[[], Trainer], tmp_path: Path, scores: tuple[float, ...], at: int
) -> None:
    trained = trainer()
    expected: dict[str, torch.Tensor] = {}
    due = round(trained.steps * at / 4)
    inner = trained.run_step

    def run_step() -> Progressed:
        found = inner()
        if trained.step == due:
            with trained.merged():
                expected.update({name: value.clone() for name, value in trained.model.model.state_dict().items()})
        return found

    trained.run_step = run_step  # type: ignore[method-assign]
    run(trained, Scored(*scores), tmp_path)  # type: ignore[arg-type]
    chosen = best(read(tmp_path, Evaluated))
    assert chosen and chosen.step == due
    assert [found.name for found in (tmp_path / "checkpoints").iterdir()] == [f"step-{due:07d}"]
    weights = exported(tmp_path)
    assert all(torch.equal(weights[name.removeprefix("0.model.")], value) for name, value in expected.items())


def test_what_is_evaluated_is_what_is_exported(data: tuple[pl.DataFrame, pl.DataFrame], undisturbed: Path) -> None:
    found = best(read(undisturbed, Evaluated))
    encoder = load_encoder(resolve(str(kept(undisturbed)), EncodingSpec(), Path("/dev/null"), "float32"))
    norm, accuracy = HeldOut(data[1]).measure(lambda texts, kind: torch.from_numpy(encoder.encode(list(texts), kind)))
    assert found and (norm, accuracy) == (pytest.approx(found.max_at_r_norm), pytest.approx(found.mono_acc))


def test_without_a_pool_the_last_weights_are_kept(trainer: Callable[[], Trainer], tmp_path: Path) -> None:
    trained = trainer()
    run(trained, None, tmp_path)
    checkpoint = kept(tmp_path)
    assert checkpoint and checkpoint.name == f"step-{trained.steps:07d}"
    assert read(tmp_path, Evaluated) == []
    weights = exported(tmp_path)
    with trained.merged():
        merged = {name: value.clone() for name, value in trained.model.model.state_dict().items()}
    assert all(torch.equal(weights[name.removeprefix("0.model.")], value) for name, value in merged.items())


@pytest.mark.parametrize(("bad_step", "left"), [(1, None), (2, "step-0000001"), (7, "step-0000004")])
def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(
    trainer: Callable[[], Trainer], tmp_path: Path, bad_step: int, left: str | None
) -> None:
    trained = trainer()
    inner = trained._objective

    def objective(*arguments: object) -> object:
        total, parts = inner(*arguments)  # type: ignore[arg-type]
        return (total * torch.nan if trained.step + 1 == bad_step else total), parts

    trained._objective = objective  # type: ignore[method-assign, assignment]
    with pytest.raises(AlignError, match=f"step {bad_step} of 8: the loss is nan") as error:
        run(trained, Scored(0, 0.2, 0.3, 0.1), tmp_path)  # type: ignore[arg-type]
    checkpoint = kept(tmp_path)
    assert (checkpoint.name if checkpoint else None) == left
    assert str(checkpoint or "No step was done") in str(error.value)
    if checkpoint:
        assert all(value.isfinite().all() for value in exported(tmp_path).values() if value.is_floating_point())


@pytest.mark.parametrize("last", [False, True])
def test_weights_that_a_step_ruined_are_not_the_last_good_ones(
    trainer: Callable[[], Trainer], tmp_path: Path, last: bool
) -> None:
    trained = trainer()
    inner, ruined = trained.run_step, trained.steps if last else 2

    def run_step() -> Progressed:
        found = inner()
        if trained.step == ruined:
            with torch.no_grad():
                for weight in trained.model.parameters():
                    weight.mul_(torch.inf)
        return found

    trained.run_step = run_step  # type: ignore[method-assign]
    with pytest.raises(AlignError, match="the last, embeddings are no numbers" if last else "step 3 of 8: ") as error:
        run(trained, None, tmp_path)
    assert "The weights before it are no good either" in str(error.value) and kept(tmp_path) is None


def test_a_line_cut_off_is_no_line(tmp_path: Path) -> None:
    step = {"loss": 1.0, "parts": {"jsd": 1.0}, "rate": 0.1, "gradient": 2.0}
    lines = [json.dumps({"step": n, **step}) for n in (1, 2, 2, 3)]
    (tmp_path / "steps.jsonl").write_text("\n".join(lines)[:-9], "utf-8")
    assert [entry.step for entry in read(tmp_path, Progressed)] == [1, 2]
    assert steps_done(tmp_path) == 2
    history.go_back(tmp_path, 1)
    assert [entry.step for entry in read(tmp_path, Progressed)] == [1]


def test_storage_that_fails_says_so(trainer: Callable[[], Trainer], tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file where a folder belongs", "utf-8")
    with pytest.raises(StoreError, match=r"states/.*: cannot be read or written \(.*check that it exists and is yours"):
        run(trainer(), None, tmp_path)


@pytest.mark.parametrize("written", [None, "{}", "[]", '{"groups": [], "schedule": {}, "step": 4}'])
def test_a_damaged_state_says_so(trainer: Callable[[], Trainer], tmp_path: Path, written: str | None) -> None:
    state = tmp_path / "states" / "step-0000004"
    state.mkdir(parents=True)
    if written is None:
        (state / "state.safetensors").write_bytes(b"cut off")
    else:
        save_file({"random": torch.zeros(1, 8, dtype=torch.uint8)}, state / "state.safetensors")
        (state / "state.json").write_text(written, "utf-8")
    with pytest.raises(AlignError, match=r"step-0000004: not a saved training state .* delete it to start again"):
        run(trainer(), None, tmp_path)
