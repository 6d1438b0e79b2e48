"""The files of an alignment run, in one directory that no other run's results are in.

What was there before stays whole until all of the new is written.
"""

import filecmp
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import ValidationError

from clir_core.align.data import write_triples
from clir_core.align.result import AlignResult
from clir_core.align.spec import AlignSpec
from clir_core.audit.result import AuditResult
from clir_core.errors import AlignError, StoreError
from clir_core.model.checkpoint import Checkpoint
from clir_core.report.alignment import render_alignment
from clir_core.report.card import model_card
from clir_core.workspace.atomic import write_folder, write_text, write_together
from clir_core.workspace.layout import (
    AFTER,
    ALIGNMENT,
    ALIGNMENT_FILES,
    AUDIT,
    BEFORE,
    CHECKPOINT,
    REPORT,
    TRIPLES,
)
from clir_core.workspace.steps import read_kept
from clir_core.workspace.storage import explained
from clir_core.workspace.sums import write_sums


def check_free(out: Path, spec: AlignSpec, run: str) -> None:
    """StoreError where `out` cannot be written; AlignError where it holds what another run, or nobody here, wrote.

    `run` is the name of the training.
    """
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
        there = [name for name in ALIGNMENT_FILES if (out / name).exists()]
    if not there:
        return
    way_out = "set `out` to another directory, or move that one away"
    try:
        earlier = AlignResult.model_validate_json((out / ALIGNMENT).read_bytes())
    except (OSError, ValidationError) as error:
        raise AlignError(f"{out}: holds {there[0]} and no {ALIGNMENT} of an alignment run; {way_out}") from error
    if (earlier.trained.name, earlier.spec.identity()) != (run, spec.identity()):
        raise AlignError(
            f"{out}: belongs to another run, {earlier.name} of {earlier.finished:%Y-%m-%d %H:%M}, with other data or "
            f"settings than this one's; {way_out}"
        )


def write_outputs(result: AlignResult, base: Checkpoint, triples: pa.Table, copied: Sequence[Path], out: Path) -> None:
    """Put everything into `out`. What is copied there: the audits before and after, and the checkpoint.

    The checkpoint itself gets its card as well. StoreError where that place cannot be written; AlignError where it is
    another run's.
    """
    check_free(out, result.spec, result.trained.name)
    before, after = map(read_audit, copied[:2])
    report = render_alignment(result, before, after)
    card = model_card(result, base, before, after)
    write_text(copied[-1] / "README.md", card)

    def write(new: Path) -> None:
        for source, name in zip(copied, (BEFORE, AFTER, CHECKPOINT), strict=True):
            shutil.copytree(source, new / name)
        write_triples(triples, new / TRIPLES)
        (new / REPORT).write_text(report, "utf-8")
        (new / ALIGNMENT).write_text(result.model_dump_json(indent=1), "utf-8")
        write_sums(new)

    try:
        write_together(out, ALIGNMENT_FILES, write)
    except (OSError, StoreError) as error:
        raise StoreError(
            f"{out}: the result cannot be written ({_reason(error)}); free space or set `out` to another place, then "
            "run again: the trained checkpoint is kept in the workspace, and an earlier result there is as it was"
        ) from error


def keep_checkpoint(source: Path, target: Path) -> None:
    """The checkpoint under its own name, on the same blocks of the disk where that is possible.

    AlignError where other weights have that name.
    """
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    with explained(target):
        if target.exists():
            if filecmp.cmpfiles(source, target, map(str, files), shallow=False)[0] == [str(file) for file in files]:
                return
            raise AlignError(
                f"{target}: holds other files than {source}, which this run trained; move it away, or choose another "
                "workspace"
            )
    write_folder(target, lambda new: shutil.copytree(source, new, copy_function=_link, dirs_exist_ok=True))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_alignment(directory: Path) -> AlignResult:
    """The result in a run's directory."""
    return read_kept(directory / ALIGNMENT, AlignResult)


def read_audit(directory: Path) -> AuditResult:
    """The result in an audit's directory."""
    return read_kept(directory / AUDIT, AuditResult)


def _reason(error: Exception) -> object:
    if isinstance(error, shutil.Error):  # of copytree: a list of source, target and why
        return error.args[0][0][2]
    cause = error if isinstance(error, OSError) else error.__cause__
    return getattr(cause, "strerror", None) or cause
