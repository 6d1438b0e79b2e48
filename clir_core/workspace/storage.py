"""What storage says when it fails, in words that help. Light: nothing here imports LanceDB."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polars.exceptions import PolarsError
from safetensors import SafetensorError

from clir_core.errors import StoreError


@contextmanager
def explained(place: str | Path) -> Iterator[None]:
    """Turn a failure to read or write below `place` into a StoreError that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, RuntimeError, ValueError, PolarsError, SafetensorError) as error:
        text = str(error)
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or any(f"os error {code}" in text for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
            raise StoreError(
                f"{place}: no space left; free some or set `workspace` to another disk, then run again: what is "
                "embedded already is kept"
            ) from error
        reason = (text.splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{place}: cannot be read or written ({reason}); check that it exists and is yours") from error
