"""What of a workspace's vectors, steps and results is damaged. All of it is made again, once it is out of the way."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from clir_core.audit.result import Embedded, TableRead
from clir_core.errors import StoreError, first_line
from clir_core.rank.store import VectorTable
from clir_core.workspace import layout
from clir_core.workspace.damage import Finding, is_aside, move_aside
from clir_core.workspace.layout import LOCK, RESULT
from clir_core.workspace.locks import is_held
from clir_core.workspace.steps import read_result
from clir_core.workspace.whole import damaged_files

# what a finished step of a kind has
NEEDED = {"ranks": (layout.RANKS, layout.TOP), "metrics": (layout.QUERIES,), "train": (layout.WEIGHTS,)}


def tables(workspace: Path) -> Iterator[Finding]:
    """Tables of vectors that cannot be read, and steps that were computed from versions that are gone."""
    place = layout.vectors(workspace).resolve()
    reads = {step: _reads(step) for step in _steps(workspace)}
    for folder in sorted(place.glob("*.lance")):
        name = folder.name.removesuffix(".lance")
        using = {
            step: [one for one in found if (one.uri, one.table) == (str(place), name)] for step, found in reads.items()
        }
        using = {step: found for step, found in using.items() if found}
        if not any(folder.glob("_versions/*.manifest")) and not any(folder.glob("data/*")):
            continue  # of a run that was killed before there was a table
        try:
            VectorTable(str(place), name).read_all()
        except StoreError as error:
            yield Finding(
                f"{folder}: a damaged table of vectors ({first_line(error.__cause__ or error)})",
                f"move it aside, with {len(using)} steps computed from it; the next run encodes its texts again",
                partial(_put_aside, [folder, *using]),
            )
            continue
        for step, found in using.items():
            if gone := [str(one.version) for one in found if not _opens(one)]:
                yield Finding(
                    f"{step}: was computed from version {', '.join(gone)} of {folder}, which is gone",
                    "move it aside; the next run encodes what is missing, and computes it again",
                    partial(_put_aside, [step]),
                )


def steps(workspace: Path) -> Iterator[Finding]:
    """Finished steps whose files are damaged or missing."""
    for step in _steps(workspace):
        if not (step / RESULT).exists():
            continue
        if is_held(step / LOCK):
            yield Finding(f"{step}: not looked at, a run is at it", is_damage=False)
            continue
        broken = dict(damaged_files(step))
        told = [f"{file.relative_to(step)}: {why}" for file, why in broken.items()]
        missing = [name for name in NEEDED.get(step.name.partition("-")[0], ()) if not (step / name).exists()]
        told += [f"{name} is missing" for name in missing]
        if told:
            # without its result alone, a step goes on from what is there: a training may have taken days
            aside = step / RESULT if [*broken] == [step / RESULT] and not missing else step
            yield Finding(
                f"{step}: a finished step is damaged ({'; '.join(told)})",
                f"move {'its result' if aside != step else 'it'} aside; the next run that needs it computes it again",
                partial(_put_aside, [aside]),
            )


def results(workspace: Path) -> Iterator[Finding]:
    """Files of audits, alignments and trained checkpoints that cannot be read."""
    for folder in (layout.audits(workspace), layout.alignments(workspace), layout.canaries(workspace)):
        for file, why in damaged_files(folder) if folder.exists() else ():
            yield Finding(
                f"{file}: is damaged ({why})",
                "move it aside; what is asked for again writes it anew",
                partial(_put_aside, [file]),
            )
    for folder in _folders(layout.checkpoints(workspace)):
        if told := [f"{file.relative_to(folder)}: {why}" for file, why in damaged_files(folder)]:
            yield Finding(
                f"{folder}: a trained checkpoint is damaged ({'; '.join(told)})",
                "move it aside; the same `clir align` puts it there again",
                partial(_put_aside, [folder]),
            )


def _steps(workspace: Path) -> Sequence[Path]:
    return _folders(layout.steps(workspace))


def _folders(place: Path) -> Sequence[Path]:
    inside = sorted(place.iterdir()) if place.is_dir() else []
    return [folder for folder in inside if folder.is_dir() and not is_aside(folder)]


def _reads(step: Path) -> list[TableRead]:
    """The versions of tables that a finished step was computed from."""
    embedded = read_result(step / layout.EMBEDDED, Embedded) if (step / RESULT).exists() else None
    wanted = (embedded.documents, embedded.queries, embedded.fit) if embedded else ()
    return [one for one in wanted if one]


def _opens(read: TableRead) -> bool:
    try:
        VectorTable(read.uri, read.table, read.version)
    except StoreError:
        return False
    return True


def _put_aside(places: Sequence[Path]) -> str:
    return ", ".join(f"moved to {move_aside(place)}" for place in places if place.exists())
