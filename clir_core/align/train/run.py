"""A training run in its directory: steps, evaluations on the held-out pool, the best checkpoint, and where to go on.

    steps.jsonl, evaluations.jsonl    what happened, a line each
    states/step-N/                    what the next step depends on
    checkpoints/step-N/               the best evaluated weights, as an ordinary checkpoint
    judged/step-N.json                a few texts and their vectors with these weights

Every worker calls `run`; the first one evaluates and writes.
"""

import shutil
import time
from pathlib import Path

import torch

from clir_core.align.result import Evaluated
from clir_core.align.train.gathering import largest
from clir_core.align.train.held_out import HeldOut
from clir_core.align.train.judged import write_judged
from clir_core.align.train.kept import checkpoint_at, kept
from clir_core.align.train.log import add, best, go_back, read
from clir_core.align.train.loop import Trainer
from clir_core.align.train.state import newest_state
from clir_core.errors import AlignError
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_folder

EVALUATIONS = 4  # after the first, of the base
SAVING_SHARE = 0.05  # of the time, at most, goes into states between evaluations


def run(trainer: Trainer, held: HeldOut | None, directory: Path) -> None:
    """Train to the end, from where the last state in the directory was saved; AlignError where the loss is no number.

    Without held-out groups the last weights are kept.
    """
    if state := newest_state(directory / layout.STATES):
        trainer.restore(state)
    if trainer.worker == 0:
        go_back(directory, trainer.step)
    saving = _Saving(trainer, directory, saved=state is not None)
    while True:
        evaluated = trainer.worker == 0 and _evaluate_if_due(trainer, held, directory)
        saving.save_if_due(now=evaluated or trainer.step == trainer.steps)
        if trainer.step == trainer.steps:
            return
        _step(trainer, directory)


def _step(trainer: Trainer, directory: Path) -> None:
    started = time.monotonic()
    try:
        step = trainer.run_step()
        if trainer.step == trainer.steps and not trainer.is_sound():
            raise AlignError(f"after step {trainer.step}, the last, embeddings are no numbers; lower the learning rate")
    except AlignError as error:
        if trainer.worker == 0 and trainer.step and not kept(directory) and trainer.is_sound():
            with trainer.merged():
                _export(trainer, directory)
        largest(0, torch.device(trainer.device))  # the others wait until it is written
        raise AlignError(f"{error}. {_what_is_left(trainer, directory)}") from error
    if trainer.worker == 0:
        add(directory, step.model_copy(update={"seconds": time.monotonic() - started}))


def _what_is_left(trainer: Trainer, directory: Path) -> str:
    checkpoint = kept(directory)
    if checkpoint:
        return f"The last good checkpoint is kept: {checkpoint}"
    return "The weights before it are no good either" if trainer.step else "No step was done before it"


def _evaluate_if_due(trainer: Trainer, held: HeldOut | None, directory: Path) -> bool:
    """Measure the held-out pool, and keep the weights if none were better; whether it was time for it."""
    is_last = trainer.step == trainer.steps
    if held is None:
        if is_last:
            with trainer.merged():
                _export(trainer, directory)
        return is_last
    due = {round(trainer.steps * i / EVALUATIONS) for i in range(EVALUATIONS + 1)}
    if trainer.step not in due:
        return False
    before = read(directory, Evaluated)
    if trainer.step in {found.step for found in before}:
        return False
    with trainer.merged():
        found = Evaluated.of(trainer.step, *held.measure(trainer.embed))
        if best([*before, found]) == found:
            _export(trainer, directory)
    add(directory, found)
    return True


def _export(trainer: Trainer, directory: Path) -> None:
    checkpoint = checkpoint_at(directory, trainer.step)
    write_judged(directory, checkpoint.name, trainer.judged())
    write_folder(checkpoint, trainer.export, replace=True)


class _Saving:
    """When a state is saved: after evaluations, at the end, and as often as costs little."""

    def __init__(self, trainer: Trainer, directory: Path, saved: bool) -> None:
        self._trainer, self._directory = trainer, directory
        self._step = trainer.step if saved else -1
        self._last, self._cost = time.monotonic(), 0.0

    def save_if_due(self, now: bool) -> None:
        """Every worker must call it; the first one decides."""
        waited = time.monotonic() - self._last
        trainer = self._trainer
        due = trainer.worker == 0 and trainer.step not in (0, self._step)
        due = due and (now or waited * SAVING_SHARE >= self._cost)
        if not largest(int(due), torch.device(trainer.device)):
            return
        started = time.monotonic()
        trainer.save(self._directory / layout.STATES)
        self._step, self._last = trainer.step, time.monotonic()
        self._cost = self._last - started
        if trainer.worker == 0:
            self._drop_checkpoints()

    def _drop_checkpoints(self) -> None:
        """All but the best go, once a state is saved that no earlier one is needed for."""
        best_one = kept(self._directory)
        for other in (self._directory / layout.WEIGHTS).glob("*"):
            if other != best_one:
                shutil.rmtree(other, ignore_errors=True)
