"""What storage says when it fails, in words that help. Light: nothing heavy is imported here."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.errors import StoreError

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
        text = str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or any(f"os error {code}" in text for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            raise StoreError(
                f"{place}: no space left; free some or set `workspace` to another disk, then run again: what is "
                "embedded already is kept"
            ) from error
        reason = (text.splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{place}: cannot be read or written ({reason}); check that it exists and is yours") from error


def _of_libraries() -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[name], kind) for name, kind in _OF_LIBRARIES.items() if name in sys.modules)
