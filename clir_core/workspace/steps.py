"""Steps: work done once. A step's directory is named by what it depends on; its result is written last."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from clir_core.errors import StoreError
from clir_core.spec import Spec, sha256_of
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.layout import LOCK, RESULT
from clir_core.workspace.locks import locked
from clir_core.workspace.storage import explained
from clir_core.workspace.sums import write_sums

R = TypeVar("R", bound=Spec)


def step_directory(workspace: Path, name: str, **depends_on: object) -> Path:
    """Where a step that depends on these JSON values keeps its files."""
    return layout.steps(workspace) / f"{name}-{sha256_of(depends_on)[:16]}"


def once(directory: Path, result: type[R], compute: Callable[[Path], R]) -> tuple[R, bool]:
    """The step's result, and whether it was there already. An unfinished step is computed again.

    One run at a time computes it: whoever comes second waits, and finds the result.
    """
    done = directory / RESULT
    if found := read_result(done, result):
        return found, True
    with locked(directory / LOCK):
        if found := read_result(done, result):
            return found, True
        found = compute(directory)
        write_text(done, found.model_dump_json(indent=1))
        with explained(directory):
            write_sums(directory)
        return found, False


def read_result(path: Path, result: type[R]) -> R | None:
    """The result in a file; None where there is none, a damaged one, or one of another version of the library.

    StoreError where it cannot be read.
    """
    with explained(path):
        if not path.exists():
            return None
        written = path.read_bytes()
    try:
        return result.model_validate_json(written)
    except ValidationError:
        return None


def read_kept(path: Path, kind: type[R]) -> R:
    """What a file that has to be there holds. StoreError where it cannot be read, or is damaged."""
    with explained(path):
        data = path.read_bytes()
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise StoreError(
            f"{path}: is damaged, or of another version of clir-audit ({f'{place}: ' if place else ''}{wrong['msg']}); "
            "put a copy of it in its place, or make it again"
        ) from error
