"""Files and folders that appear whole or not at all, and are on the disk then: written beside, synced, renamed.

What was there before stays until then. Light: nothing heavy is imported here.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clir_core.workspace.locks import locked_folder
from clir_core.workspace.storage import explained

# of a folder that files are written in together, and what is moved out of their way meanwhile
UNFINISHED, OLD, BEFORE = ".unfinished-", "old-", "before"


def write_text(path: Path, text: str, mode: int | None = None) -> None:
    """Write a text file, UTF-8, of this mode, else as the umask says. StoreError where it cannot be written."""
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a file, as write_text does. StoreError where it cannot be written."""

    def write(scratch: Path) -> None:
        scratch.write_bytes(data)
        if mode is not None:
            scratch.chmod(mode)

    write_file(path, write)


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written by `write`, which gets a path of the same name elsewhere. StoreError where it cannot be."""
    with explained(path), new_file(path) as scratch:
        write(scratch)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path of the same name elsewhere: what is there at the end takes its place. StoreError where it cannot.

    Errors of the block itself are its own.
    """
    with ExitStack() as stack:
        with explained(path):
            scratch = stack.enter_context(_beside(path))
        yield scratch
        with explained(path):
            _sync(scratch)
            scratch.replace(path)
            _sync(path.parent)


def write_folder(path: Path, write: Callable[[Path], object], replace: bool = False) -> None:
    """Have a folder filled by `write`, which gets an empty one. Of two in one place the first stays, unless `replace`.

    StoreError where it cannot be written.
    """
    with explained(path), _beside(path) as scratch:
        scratch.mkdir()
        write(scratch)
        _sync_all(scratch)
        if replace and path.exists():
            path.rename(scratch.with_name(BEFORE))
        try:
            scratch.rename(path)
        except OSError:
            # another run was faster; a folder is there whole or not at all
            if not path.is_dir():
                raise
        _sync(path.parent)


def write_together(folder: Path, names: Sequence[str], write: Callable[[Path], object]) -> None:
    """Have these files and folders written by `write` and put into `folder` in this order, all once all are complete.

    Of two runs at one folder the second waits. Errors are those of the writing: who knows what the files are says what
    to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder), _folder_in(folder, UNFINISHED) as new:
        write(new)
        _sync_all(new)
        for name in names:
            if (folder / name).is_dir():
                (folder / name).rename(new / f"{OLD}{name}")
            (new / name).replace(folder / name)
        _sync(folder)


def sweep(path: Path) -> None:
    """Drop what killed runs left beside this path. For who holds the lock under which it is written."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}~"):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path of the same name on the same disk, in a folder of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _folder_in(path.parent, f".{path.name}~") as folder:
        yield folder / path.name


@contextmanager
def _folder_in(place: Path, prefix: str) -> Iterator[Path]:
    """A folder until the block ends. It stays where a disk became read-only: told is why nothing was written."""
    with tempfile.TemporaryDirectory(dir=place, prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sync_all(folder: Path) -> None:
    for inside in folder.rglob("*"):
        _sync(inside)
    _sync(folder)


def _sync(path: Path) -> None:
    """Have the disk keep a file's content, or a folder's names: a rename alone may outlive what was renamed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems cannot, of a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
