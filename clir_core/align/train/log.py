"""What a run wrote down of its steps and evaluations: a line of JSON each, in its directory, while it trains."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from clir_core.align.result import Evaluated, Progressed
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.storage import explained

_FILES: dict[type, str] = {Progressed: layout.STEPS_LOG, Evaluated: layout.EVALUATIONS_LOG}
E = TypeVar("E", Progressed, Evaluated)


def add(directory: Path, entry: Progressed | Evaluated) -> None:
    """Write one down; a reader sees it at once."""
    file = directory / _FILES[type(entry)]
    with explained(file), file.open("a", encoding="utf-8") as stream:
        stream.write(entry.model_dump_json() + "\n")


def read(directory: Path, kind: type[E]) -> list[E]:
    """All in order of their steps; of a step done twice the later one."""
    file = directory / _FILES[kind]
    found: dict[int, E] = {}
    for line in file.read_text("utf-8", errors="replace").splitlines() if file.exists() else ():
        try:
            entry = kind.model_validate_json(line)
        except ValidationError:
            continue  # cut off when the run was killed
        found[entry.step] = entry
    return [found[step] for step in sorted(found)]


def go_back(directory: Path, step: int) -> None:
    """Forget what came after a step: the run goes on from there."""
    everything: list[Progressed | Evaluated] = [*read(directory, Progressed), *read(directory, Evaluated)]
    for kind, name in _FILES.items():
        kept = [entry for entry in everything if isinstance(entry, kind) and entry.step <= step]
        write_text(directory / name, "".join(entry.model_dump_json() + "\n" for entry in kept))


def steps_done(directory: Path) -> int:
    """Steps so far, as a bystander reads them."""
    file = directory / _FILES[Progressed]
    if not file.exists():
        return 0
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 8192))
        lines = stream.read().decode("utf-8", "ignore").splitlines()
    for line in reversed(lines):
        try:
            return Progressed.model_validate_json(line).step
        except ValidationError:
            continue
    return 0


def best(evaluations: list[Evaluated]) -> Evaluated | None:
    """The one whose weights are kept: the best score, of equals the later. The base, step 0, is for comparison only."""
    return max(
        (found for found in evaluations if found.step), key=lambda found: (found.score, found.step), default=None
    )
