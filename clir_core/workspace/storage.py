"""What storage says when it fails, in words that help. Light: nothing heavy is imported here."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.errors import DamageError, SpecError, StoreError, first_line

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# of a library that does not understand what it reads, or a disk that cannot give it
_BROKEN = (None, errno.EIO, errno.EBADMSG, errno.EUCLEAN)
_FAILURES = (OSError, RuntimeError, ValueError)
_LONGEST_SHOWN = 200
# what libraries raise on top, by name: nobody imports them for this
_OF_LIBRARIES = {"PolarsError", "ArrowException", "SafetensorError", "RustPanic"}


@contextmanager
def explained(place: str | Path) -> Iterator[None]:
    """Turn a failure to read or write below `place` into a StoreError that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        of_library = any(kind.__name__ in _OF_LIBRARIES for kind in type(error).__mro__)
        if not (of_library or isinstance(error, _FAILURES)):
            raise
        raise _told(place, error) from error


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
    lost = ", or what `clir doctor` says of the workspace" if number == errno.ENOENT else ""
    return StoreError(f"{said}; check that it exists and is yours{lost}")


def _number(error: Exception) -> int | None:
    """The system's number of an error, also where a library tells it in words alone."""
    if number := getattr(error, "errno", None):
        return int(number)
    told = re.search(r"os error (\d+)", str(error))
    return int(told[1]) if told else None
