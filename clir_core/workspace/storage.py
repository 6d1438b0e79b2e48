"""What storage says when it fails, in words that help. Light: nothing heavy is imported here."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.errors import SpecError, StoreError, first_line

_FAILURES = (OSError, RuntimeError, ValueError)
_LONGEST_SHOWN = 200
# what libraries raise on top; one that was not imported raises nothing
_OF_LIBRARIES = {"polars.exceptions": "PolarsError", "pyarrow": "ArrowException", "safetensors": "SafetensorError"}


@contextmanager
def explained(place: str | Path) -> Iterator[None]:
    """Turn a failure to read or write below `place` into a StoreError that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if not isinstance(error, (*_FAILURES, *_of_libraries())):
            raise
        text = str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or any(f"os error {code}" in text for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            raise StoreError(
                f"{place}: no space left; free some or set `workspace` to another disk, then run again: what is "
                "embedded already is kept"
            ) from error
        raise StoreError(
            f"{place}: cannot be read or written ({first_line(error)}); check that it exists and is yours"
        ) from error


def path_of(said: str) -> Path:
    """The path that a user wrote, whatever is there. SpecError where it is none that can be looked at."""
    try:
        path = Path(said).expanduser()
        path.resolve().exists()
    except (OSError, RuntimeError, ValueError) as error:
        # ~nobody, a loop of links, a name that is too long, a folder that is closed
        why = getattr(error, "strerror", None) or first_line(error)
        shown = said if len(said) <= _LONGEST_SHOWN else f"{said[:_LONGEST_SHOWN]}..."
        raise SpecError(f"{shown}: no place that can be looked at ({why}); write another path") from error
    return path


def _of_libraries() -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[name], kind) for name, kind in _OF_LIBRARIES.items() if name in sys.modules)
