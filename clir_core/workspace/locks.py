"""Locks between processes and threads, that die with whoever holds them: a killed run leaves nothing locked."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.workspace.storage import explained

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock in this file, made where it is missing; wait for it, and say so, while another holds it."""
    with explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    with stream:
        with explained(path.parent):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("%s: another run is at it; waiting for its result", path.parent.name)
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield
