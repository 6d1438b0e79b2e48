"""What storage says when it fails, in words that help. Light: nothing heavy is imported here."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.errors import DamageError, StoreError, first_line

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# of a library that does not understand what it reads, or a disk that cannot give it
_BROKEN = (None, errno.EIO, errno.EBADMSG, errno.EUCLEAN)
_FAILURES = (OSError, RuntimeError, ValueError)
# what libraries raise on top; one that was not imported raises nothing
_OF_LIBRARIES = {"polars.exceptions": "PolarsError", "safetensors": "SafetensorError"}


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
        raise _told(place, error) from error


def _told(place: str | Path, error: Exception) -> StoreError:
    number = _number(error)
    if number in _FULL:
        return StoreError(
            f"{place}: no space left; free some or set `workspace` to another disk, then run again: what is embedded "
            "already is kept"
        )
    said = f"{place}: cannot be read or written ({first_line(error)})"
    if number == errno.EROFS:
        return StoreError(f"{said}; have the disk mounted for writing, or set `workspace` to another place")
    if number in _BROKEN:
        return DamageError(f"{said}; it is damaged, or not what it should be: `clir doctor` looks through a workspace")
    return StoreError(f"{said}; check that it exists and is yours")


def _number(error: Exception) -> int | None:
    """The system's number of an error, also where a library tells it in words alone."""
    if number := getattr(error, "errno", None):
        return int(number)
    told = re.search(r"os error (\d+)", str(error))
    return int(told[1]) if told else None


def _of_libraries() -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[name], kind) for name, kind in _OF_LIBRARIES.items() if name in sys.modules)
