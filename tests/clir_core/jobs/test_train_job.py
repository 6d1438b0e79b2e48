"""Training with real Ray Train workers: killed it goes on, two are as good as one, and errors arrive as they were.

What is `slow` here is tested without Ray in test_loop (kill -9, resume), test_gathering (two workers) and test_head.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from clir_core.align.data import training_triples
from clir_core.align.result import Trained
from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.errors import AlignError, StoreError
from clir_core.jobs.train import _threads, fit
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.runs.train import run_directory, train

OPTIMISER = OptimiserSpec(batch=8, learning_rate=1e-3, epochs=4, query_tokens=32, passage_tokens=32)
SPEC = AlignSpec(triples=60, head=False, loss={"query_info_nce": 1.0, "distill_scores": 1.0}, optimiser=OPTIMISER)


def ignore(done: int, total: int) -> None:
    """Progress of no interest."""


def never(done: int, total: int) -> None:
    raise AssertionError("there is nothing to do")


@pytest.fixture(scope="module")
def triples() -> pa.Table:
    """Of which a third has no q_x, and some have hard negatives."""
    found = pl.DataFrame(pl.from_arrow(training_triples("demo#train", ("zh", "de"), SPEC.triples, 0)))
    row = pl.int_range(pl.len())
    hard = pl.when(row % 4 == 0).then(pl.lit(["Nothing of the kind."])).otherwise(pl.lit([], pl.List(pl.String)))
    q_x = pl.when(row % 3 > 0).then("q_x")
    return (
        found.with_columns(negatives=hard, q_x=q_x)
        .to_arrow()
        .cast(training_triples("demo#train", ("zh", "de"), 2, 0).schema)
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def undisturbed(ray_cluster: None, checkpoint: Checkpoint, triples: pa.Table, workspace: Path) -> Trained:
    trained, before = train(SPEC, checkpoint, triples, workspace / "undisturbed", ignore, fit)
    assert not before
    return trained


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return load_file(trained.checkpoint / "model.safetensors")


def assert_same(one: Trained, other: Trained) -> None:
    found, expected = weights(one), weights(other)
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    assert one.best_step == other.best_step and one.evaluations == other.evaluations
    assert [step.loss for step in one.steps] == [step.loss for step in other.steps]


def descendants(parent: int) -> Iterator[int]:
    """Processes that this one started, directly or not."""
    found = subprocess.run(["ps", "--no-headers", "-o", "pid", "--ppid", str(parent)], capture_output=True, text=True)
    for child in map(int, found.stdout.split()):
        yield child
        yield from descendants(child)


def training_processes(parent: int) -> list[int]:
    found = []
    for process in descendants(parent):
        try:
            title = Path(f"/proc/{process}/cmdline").read_text("utf-8")
        except OSError:
            continue
        if title.startswith("ray::") and "TrainWorker" in title:
            found.append(process)
    return found


def test_what_it_says_of_itself(undisturbed: Trained, triples: pa.Table) -> None:
    assert undisturbed.name == undisturbed.checkpoint.parents[1].name == "undisturbed"
    assert undisturbed.triples + 2 <= len(triples) and sum(undisturbed.languages.values()) == undisturbed.triples
    assert undisturbed.held_out >= 2 and set(undisturbed.languages) == {"de", "zh"}
    assert len(undisturbed.steps) == undisturbed.triples // 8 * OPTIMISER.epochs
    assert len(undisturbed.evaluations) == 5
    assert undisturbed.best_step in [found.step for found in undisturbed.evaluations[1:]]
    assert undisturbed.seconds > 0 and undisturbed.seconds_around > 0
    model = SentenceTransformer(str(undisturbed.checkpoint), device="cpu", local_files_only=True)
    assert model.encode(["Wo?"], prompt_name="query").shape == (1, 32)
    # what only an unfinished run needs is gone
    left = {file.name for file in undisturbed.checkpoint.parents[1].iterdir()}
    assert left == {
        ".lock", "SHA256SUMS", "checkpoints", "evaluations.jsonl", "judged", "result.json", "run.txt", "steps.jsonl",
    }  # fmt: skip


@pytest.mark.slow
def test_without_a_loss_the_head_alone_is_fitted(
    ray_cluster: None, checkpoint: Checkpoint, triples: pa.Table, workspace: Path
) -> None:
    trained, _ = train(AlignSpec(loss="none", triples=60), checkpoint, triples, workspace / "head", ignore, fit)
    assert trained.steps == () and trained.seconds == 0
    assert trained.with_head and [found.step for found in trained.evaluations] == [0]
    before, after = (load_file(path / "model.safetensors") for path in (checkpoint.path, trained.checkpoint))
    assert all(torch.equal(before[name], after[name]) for name in before)
    texts = triples["p_x"].to_pylist()[:5]
    model = SentenceTransformer(str(trained.checkpoint), device="cpu", local_files_only=True)
    head_HH = load_file(trained.checkpoint / "2_Dense" / "model.safetensors")["linear.weight"]
    headed = SentenceTransformer(str(checkpoint.path), device="cpu").encode_document(texts) @ head_HH.numpy().T
    assert model.encode_document(texts) == pytest.approx(
        headed / np.linalg.norm(headed, axis=1, keepdims=True), abs=1e-5
    )


def test_asking_again_returns_what_was_found(
    undisturbed: Trained, checkpoint: Checkpoint, triples: pa.Table, workspace: Path
) -> None:
    assert train(SPEC, checkpoint, triples, workspace / "undisturbed", never, fit) == (undisturbed, True)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_nothing_changes(
    undisturbed: Trained, checkpoint: Checkpoint, triples: pa.Table, workspace: Path
) -> None:
    killed: list[int] = []
    seen: list[tuple[int, int]] = []

    def kill(done: int, total: int) -> None:
        seen.append((done, total))
        if not killed and 3 <= done < total:
            killed.extend(training_processes(os.getpid()))
            for process in killed:
                os.kill(process, signal.SIGKILL)

    trained, before = train(SPEC, checkpoint, triples, workspace / "replaced", kill, fit)
    assert len(killed) == 1 and not before
    assert seen[-1] == (len(trained.steps), len(trained.steps))
    assert_same(trained, undisturbed)


DRIVER = """
    import os, signal
    from pathlib import Path
    import pyarrow.parquet as pq
    from clir_core.align.spec import AlignSpec
    from clir_core.jobs.cluster import cluster
    from clir_core.jobs.train import fit
    from clir_core.runs.train import train
    from clir_core.model.checkpoint import Checkpoint

    def say(done, total):
        if 3 <= done < total:
            os.kill(os.getpid(), signal.SIGKILL)

    here = Path({here!r})
    spec = AlignSpec.model_validate_json((here / "spec.json").read_text())
    base = Checkpoint.model_validate_json((here / "base.json").read_text())
    with cluster(None):
        train(spec, base, pq.read_table(here / "triples.parquet"), here / "run", say, fit)
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_takes_all_with_it_and_another_goes_on(
    undisturbed: Trained, checkpoint: Checkpoint, triples: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(triples, tmp_path / "triples.parquet")
    (tmp_path / "spec.json").write_text(SPEC.model_dump_json(), "utf-8")
    (tmp_path / "base.json").write_text(checkpoint.model_dump_json(), "utf-8")
    code = textwrap.dedent(DRIVER).format(here=str(tmp_path))
    environment = {**os.environ, "RAY_ADDRESS": ""}
    driver = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert driver.returncode == -signal.SIGKILL, driver.stderr.decode()[-2000:]
    assert not (tmp_path / "run" / "result.json").exists()
    trained, before = train(SPEC, checkpoint, triples, tmp_path / "run", ignore, fit)
    assert not before
    assert_same(trained, undisturbed)


@pytest.mark.slow
def test_two_workers_with_half_the_rows_learn_what_one_learns(
    ray_cluster: None, calm: Checkpoint, triples: pa.Table, workspace: Path
) -> None:
    if ray.cluster_resources()["CPU"] < 2:
        pytest.skip("one processor")
    found = []
    for workers in (1, 2):
        few = OPTIMISER.model_copy(update={"epochs": 1, "learning_rate": 1e-4})
        spec = SPEC.model_copy(update={"workers": workers, "optimiser": few, "held_out": 0.0})
        found.append(train(spec, calm, triples, workspace / f"workers-{workers}", ignore, fit)[0])
    one, two = found
    assert [step.loss for step in two.steps] == pytest.approx([step.loss for step in one.steps], rel=1e-4)
    assert [step.gradient for step in two.steps] == pytest.approx([step.gradient for step in one.steps], rel=1e-2)
    base = load_file(calm.path / "model.safetensors")
    moved, apart = 0.0, 0.0
    for name, value in weights(one).items():
        if name in base:
            moved += float((value - base[name]).square().sum())
            apart += float((value - weights(two)[name]).square().sum())
    # Adam divides by the gradient's size: what differs in the last bit near 0 may differ in sign
    assert apart < 1e-3 * moved
    assert one.evaluations == () and one.best_step == len(one.steps) and one.held_out == 0


@pytest.fixture(scope="module")
def calm(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model without dropout: workers would draw other masks than one alone."""
    model = SentenceTransformer(str(tiny_model), device="cpu", local_files_only=True)
    model[0].model.config.hidden_dropout_prob = model[0].model.config.attention_probs_dropout_prob = 0.0
    directory = tmp_path_factory.mktemp("models") / "calm"
    model.save_pretrained(str(directory), create_model_card=False)
    return resolve(str(directory), EncodingSpec(), Path("/dev/null"), "float32")


@pytest.mark.slow
def test_an_error_of_a_worker_arrives_as_it_was(
    ray_cluster: None, checkpoint: Checkpoint, triples: pa.Table, tmp_path: Path
) -> None:
    wild = OPTIMISER.model_copy(update={"learning_rate": 1e30, "warmup": 0.0})
    spec = SPEC.model_copy(update={"optimiser": wild})
    with pytest.raises(AlignError, match=r"step [2-9] of \d+: the loss is nan .* The weights before it are no good"):
        train(spec, checkpoint, triples, tmp_path / "run", ignore, fit)
    assert not list(tmp_path.glob("run/checkpoints/step-*"))
    assert not (tmp_path / "run" / "result.json").exists()


BAD: dict[str, tuple[Callable[[pa.Table], pa.Table], dict[str, object], str]] = {
    "few": (lambda table: table.slice(0, 5), {}, "5 triples are fewer than a batch of 8"),
    "held out": (lambda table: table.slice(0, 9), {"held_out": 0.5}, r"of 9 triples are left when \d+ groups are held"),
    "no q_x": (
        lambda table: table.set_column(7, "q_x", pa.nulls(len(table), pa.string())),
        {"loss": "clear"},
        r"the loss \(clear_forward, clear_backward, clear_kl\) reads q_x, .* none of the 60 triples",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_trained_on_says_so_at_once(
    checkpoint: Checkpoint, triples: pa.Table, tmp_path: Path, case: str
) -> None:
    change, settings, message = BAD[case]
    spec = AlignSpec.model_validate({**SPEC.model_dump(mode="json"), **settings})
    with pytest.raises(AlignError, match=message):
        train(spec, checkpoint, change(triples), tmp_path / "run", never, fit)


def test_storage_that_cannot_be_written_says_so(checkpoint: Checkpoint, triples: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "steps").write_text("a file where a folder belongs", "utf-8")
    with pytest.raises(StoreError, match=r"steps/run: cannot be read or written .*check that it exists and is yours"):
        train(SPEC, checkpoint, triples, tmp_path / "steps" / "run", never, fit)


def test_a_directory_of_another_run_is_refused_and_left_alone(
    undisturbed: Trained, checkpoint: Checkpoint, triples: pa.Table, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.txt").write_bytes((workspace / "undisturbed" / "run.txt").read_bytes())
    other = SPEC.model_copy(update={"seed": 1})
    with pytest.raises(AlignError, match=r"belongs to another run, [0-9a-f]{16}, and this one is [0-9a-f]{16}"):
        train(other, checkpoint, triples, tmp_path, never, fit)
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "run.txt"}


def test_the_name_depends_on_what_can_change_a_weight(checkpoint: Checkpoint, triples: pa.Table) -> None:
    def name(base: Checkpoint = checkpoint, table: pa.Table = triples, **changes: object) -> Path:
        return run_directory(SPEC.model_copy(update=changes), base, table)

    same = [name(), name(out=Path("x")), name(evaluation="demo#dev"), name(allow_contamination=("*",))]
    assert len(set(same)) == 1 and same[0].parent == SPEC.workspace / "steps"
    assert same[0].name.startswith("train-")
    others = [
        name(seed=1),
        name(workers=2),
        name(held_out=0.2),
        name(optimiser=OptimiserSpec(batch=4)),
        name(loss=SPEC.loss.model_copy(update={"temperature": 0.1})),
        name(table=triples.slice(1)),
        name(base=checkpoint.model_copy(update={"vectors": "0" * 64})),
    ]
    assert len({*others, same[0]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("nodes", "workers", "gpu", "threads"),
    [
        ([{"CPU": 8}], 1, False, 8),
        ([{"CPU": 8}], 3, False, 2),
        ([{"CPU": 8}, {"CPU": 8}], 1, False, 8),  # not the 16 that no node has
        ([{"CPU": 8}, {"CPU": 8}], 3, False, 4),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 32}], 2, True, 4),
    ],
)
def test_processors_are_shared_out(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, int]], workers: int, gpu: bool, threads: int
) -> None:
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
    assert _threads(workers, gpu) == threads


def test_more_workers_than_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(AlignError, match="3 workers cannot start on a cluster with 2 processors; lower `workers`"):
        _threads(3, False)
