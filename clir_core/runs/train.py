"""The training of an alignment: a run in a directory of its own, that can be cut off at any step and goes on."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import polars as pl
import pyarrow as pa

from clir_core.align.bare import bare_texts, without_groups
from clir_core.align.data import check_enough
from clir_core.align.result import Evaluated, Progressed, Trained
from clir_core.align.spec import AlignSpec
from clir_core.align.train.held_out import hold_out
from clir_core.align.train.kept import clear, finished, kept
from clir_core.align.train.log import best, read, steps_done
from clir_core.align.train.objective import needs
from clir_core.errors import AlignError
from clir_core.model.checkpoint import Checkpoint
from clir_core.spec import sha256_of
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.progress import Progress
from clir_core.workspace.steps import once, step_directory
from clir_core.workspace.storage import explained

SECONDS_BETWEEN = 0.5
T = TypeVar("T")


class Fitting(TypedDict):
    """What one fit needs: the spec, the base in float32, the run's directory, triples to fit and to hold out, and bare
    texts for the head."""

    spec: AlignSpec
    base: Checkpoint
    directory: Path
    triples: pl.DataFrame
    held: pl.DataFrame
    bare: pl.DataFrame


# fits until the run is done
Fit = Callable[[Fitting], None]


def run_directory(spec: AlignSpec, base: Checkpoint, triples: pa.Table) -> Path:
    """Where this run keeps everything: named by all that can change a weight."""
    return step_directory(spec.workspace, "train", **_depends_on(spec, base, triples))


def train(
    spec: AlignSpec, base: Checkpoint, triples: pa.Table, workspace_dir: Path, progress: Progress, fit: Fit
) -> tuple[Trained, bool]:
    """Train in `workspace_dir`, or go on with what was cut off there; and whether it was finished before.

    Errors: AlignError for triples, a base or a loss that cannot be trained with; StoreError for
    storage. What was done until then stays.
    """
    directory = workspace_dir.expanduser().resolve()
    found, before = once(directory, Trained, lambda _: _train(spec, base, triples, directory, progress, fit))
    clear(directory)
    return found, before


def _train(
    spec: AlignSpec, base: Checkpoint, triples: pa.Table, directory: Path, progress: Progress, fit: Fit
) -> Trained:
    started = time.monotonic()
    _claim(directory, _depends_on(spec, base, triples))
    _check_sides(spec, triples)
    check_enough(triples, spec.optimiser.batch)
    fitted, held = hold_out(pl.DataFrame(pl.from_arrow(triples)), spec.held_out, spec.seed)
    n_held = held["group_id"].n_unique()
    if len(fitted) < spec.optimiser.batch:
        raise AlignError(
            f"{len(fitted)} of {len(triples)} triples are left when {n_held} groups are held out, fewer than a batch "
            f"of {spec.optimiser.batch}; lower optimiser.batch or held_out, or add triples"
        )
    total = len(fitted) // spec.optimiser.batch * spec.epochs
    done_before = steps_done(directory)
    asked = Fitting(
        spec=spec,
        base=base.model_copy(update={"dtype": "float32"}),
        directory=directory,
        triples=fitted,
        held=held,
        bare=without_groups(bare_texts(spec), held["group_id"]),
    )
    _watched(lambda: fit(asked), lambda: progress(steps_done(directory), total))
    progress(total, total)
    steps, evaluations = read(directory, Progressed), read(directory, Evaluated)
    checkpoint, with_head = finished(directory) or (kept(directory), None)
    assert checkpoint and len(steps) == total, f"{directory}: {len(steps)} of {total} steps, {checkpoint}"
    chosen = best(evaluations)
    return Trained(
        name=directory.name,
        checkpoint=checkpoint,
        steps=tuple(steps),
        evaluations=tuple(evaluations),
        best_step=chosen.step if chosen else total,
        with_head=with_head,
        triples=len(fitted),
        held_out=n_held,
        languages=dict(sorted(fitted.group_by("lang").len().iter_rows())),
        seconds=sum(step.seconds for step in steps),
        seconds_around=time.monotonic() - started - sum(step.seconds for step in steps[done_before:]),
    )


# the base and the triples stand for what they came from; the rest changes no weight
_CHANGES_NOTHING = {
    "base", "encoding", "train", "languages", "triples", "head_texts", "evaluation", "gate", "allow_contamination",
    "runtime", "workspace", "out",
}  # fmt: skip


def _depends_on(spec: AlignSpec, base: Checkpoint, triples: pa.Table) -> dict[str, Any]:
    settings = spec.model_dump(mode="json", exclude=_CHANGES_NOTHING)
    texts = {"texts": sha256_of(bare_texts(spec).rows())} if spec.head_texts else {}
    return {"base": base.vectors, "triples": sha256_of(triples.to_pylist()), "settings": settings, **texts}


def _claim(directory: Path, depends_on: dict[str, Any]) -> None:
    """Write down whose directory it is; AlignError where it is another run's."""
    file, identity = directory / layout.CLAIM, sha256_of(depends_on)
    with explained(file):
        owner = file.read_text("utf-8").strip() if file.exists() else identity
    if owner != identity:
        raise AlignError(
            f"{directory} belongs to another run, {owner[:16]}, and this one is {identity[:16]}; train in another "
            "directory, or delete that one"
        )
    write_text(file, identity + "\n")


def _check_sides(spec: AlignSpec, triples: pa.Table) -> None:
    """AlignError where a term of the loss has nothing to work on: of all sides only q_x may be missing."""
    required = needs(spec.loss).required
    if "q_x" in required and triples["q_x"].null_count == len(triples):
        raise AlignError(
            f"the loss ({', '.join(spec.loss.weights())}) reads q_x, queries in the other language, and none of the "
            f"{len(triples)} triples has one; add them or choose a loss without"
        )


def _watched(work: Callable[[], T], watch: Callable[[], None]) -> T:
    """The work's result, or its error; meanwhile `watch` is called in this thread, as a flow's log needs it."""
    future: Future[T] = Future()

    def in_background() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    # a daemon: who interrupts this thread need not wait for the training
    threading.Thread(target=in_background, daemon=True).start()
    while not wait([future], SECONDS_BETWEEN).done:
        watch()
    return future.result()
