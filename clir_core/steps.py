"""Steps: work done once. A step's directory is named by what it depends on; its result is written last."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from clir_core.spec import Spec, sha256_of
from clir_core.store import explained

RESULT = "result.json"
R = TypeVar("R", bound=Spec)


def step_directory(workspace: Path, name: str, **depends_on: object) -> Path:
    """Where a step that depends on these JSON values keeps its files."""
    return workspace / "steps" / f"{name}-{sha256_of(depends_on)[:16]}"


def once(directory: Path, result: type[R], compute: Callable[[Path], R]) -> tuple[R, bool]:
    """The step's result, and whether it was there already. An unfinished step is computed again."""
    done = directory / RESULT
    if done.exists():
        try:
            return result.model_validate_json(done.read_text("utf-8")), True
        except ValidationError:
            pass  # written by another version: compute it again
    with explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
    found = compute(directory)
    write_text(done, found.model_dump_json(indent=1))
    return found, False


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; what was there before stays until then."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(scratch).chmod(0o644)
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)
