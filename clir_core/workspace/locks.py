"""Locks between processes and threads, that die with whoever holds them: a killed run leaves nothing locked."""

import errno
import fcntl
import logging
import os
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
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    with _closing(handle):
        with explained(path.parent):
            _hold(handle, path.parent.name)
        yield


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock in this file; where it cannot be asked, nobody can hold it."""
    try:
        handle = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    with _closing(handle):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that is there, which leaves no file in it; where its file system has none, nothing."""
    with _closing(os.open(folder, os.O_RDONLY)) as handle:
        try:
            _hold(handle, folder.name)
        except OSError as error:
            # network file systems lock only what is open for writing
            if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP):
                raise
        yield


@contextmanager
def _closing(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)


def _hold(handle: int, name: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s: another run is at it; waiting for its result", name)
        fcntl.flock(handle, fcntl.LOCK_EX)
