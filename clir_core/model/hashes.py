"""Hashes of files, kept, so that a file is read again only where it changed: its size, times, inode or place.

Of JSON what it says is hashed, however it is indented, without what no vector depends on.
They are kept in one SQLite file of the workspace, which is no more than a saving: without it, files are hashed.
"""

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

from clir_core.errors import StoreError
from clir_core.model.files import LONGEST_JSON
from clir_core.workspace.layout import HASHES
from clir_core.workspace.locks import locked

log = logging.getLogger(__name__)
T = TypeVar("T")

TABLE = """CREATE TABLE IF NOT EXISTS contents (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode TEXT, sha256 TEXT
) WITHOUT ROWID"""
# a file that changed so lately may change again before its time does: clocks of file systems tick, some each 2 s
SETTLED_NS = 2_000_000_000
PATIENCE = 5.0  # seconds for another process to end its write
FEWEST = 1_000  # paths among which none is looked for that is gone
# in a checkpoint's JSON: who wrote it and where, and what whoever loads it decides anew
INDIFFERENT = frozenset(
    (
        "__version__", "transformers_version", "peft_version", "_name_or_path", "name_or_path", "dtype", "torch_dtype",
        "base_model_name_or_path", "revision", "inference_mode", "special_tokens_map_file",
    )
)  # fmt: skip


class State(NamedTuple):
    """What tells a file from what it was: `ctime_ns` also where size and time of change were put back."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: str  # as text: some file systems count beyond SQLite's integers

    @staticmethod
    def of(info: os.stat_result) -> "State":
        """The state that `stat` tells."""
        return State(info.st_size, info.st_mtime_ns, info.st_ctime_ns, str(info.st_ino))

    def is_settled(self, now_ns: int) -> bool:
        """Whether any later change will show."""
        return now_ns - max(self.mtime_ns, self.ctime_ns) >= SETTLED_NS


class Kept(NamedTuple):
    """What was a file's hash, and when."""

    state: State
    sha256: str


def hashes_of(files: Collection[Path], directory: Path) -> list[str]:
    """Hex sha256 of each file's content, of links what they lead to. They are kept in `directory`, made where missing.

    Errors: OSError where a file cannot be read. Of what cannot be kept nothing is said: it is hashed again.
    """
    # by what they are called here: a hub's cache has links to files without a suffix
    is_json = {file.resolve(): file.suffix == ".json" for file in files}
    paths = list(is_json)
    kept = _with_file(directory, lambda connection: _read(connection, paths)) or {}
    now = {path: _current(path, is_json[path], kept.get(path)) for path in paths}
    new = {path: one for path, (one, is_settled) in now.items() if is_settled and one != kept.get(path)}
    if new:
        _with_file(directory, lambda connection: _write(connection, new))
    return [now[file.resolve()][0].sha256 for file in files]


def _current(path: Path, is_json: bool, kept: Kept | None) -> tuple[Kept, bool]:
    """The file's state and hash now, and whether they may be kept."""
    if kept and kept.state == State.of(path.stat()):
        return kept, True
    with path.open("rb") as stream:
        started, before = time.time_ns(), State.of(os.fstat(stream.fileno()))
        # longer ones, which are no settings, would fill the memory
        is_json = is_json and before.size <= LONGEST_JSON
        digest = _of_json(stream.read()) if is_json else hashlib.file_digest(stream, "sha256").hexdigest()
        after = State.of(os.fstat(stream.fileno()))
    return Kept(after, digest), before == after and before.is_settled(started)


def _of_json(data: bytes) -> str:
    """Of what a JSON file says; of its bytes where it is damaged."""
    try:
        said = json.loads(data)
        if isinstance(said, dict):
            said = {name: value for name, value in said.items() if name not in INDIFFERENT}
        data = json.dumps(said, sort_keys=True).encode()
    except (ValueError, RecursionError):
        pass
    return hashlib.sha256(data).hexdigest()


def _read(connection: sqlite3.Connection, paths: Sequence[Path]) -> dict[Path, Kept]:
    asked = "SELECT size, mtime_ns, ctime_ns, inode, sha256 FROM contents WHERE path = ?"
    rows = {path: connection.execute(asked, (os.fsencode(path),)).fetchone() for path in paths}
    return {path: Kept(State(*row[:-1]), row[-1]) for path, row in rows.items() if row}


def _write(connection: sqlite3.Connection, new: Mapping[Path, Kept]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    rows = [(os.fsencode(path), *kept.state, kept.sha256) for path, kept in new.items()]
    connection.executemany("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?, ?)", rows)
    _drop_gone(connection)
    connection.execute("COMMIT")


def _drop_gone(connection: sqlite3.Connection) -> None:
    """Forget paths that are gone, whenever there are twice as many as were left the last time."""
    (count,), (most,) = (
        connection.execute(asked).fetchone() for asked in ("SELECT count(*) FROM contents", "PRAGMA user_version")
    )
    if count <= max(most, FEWEST):
        return
    paths = [path for (path,) in connection.execute("SELECT path FROM contents")]
    gone = [(path,) for path in paths if not os.access(path, os.F_OK)]
    connection.executemany("DELETE FROM contents WHERE path = ?", gone)
    connection.execute(f"PRAGMA user_version = {2 * (count - len(gone))}")


def _with_file(directory: Path, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """What the work on the file gives; None where there can be no such file. A damaged one is thrown away."""
    file = directory / HASHES
    try:
        try:
            return _opened(file, work)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise
        with locked(directory / f".{HASHES}.lock"):
            try:
                return _opened(file, work)
            except sqlite3.DatabaseError as error:
                if not _is_damaged(error):
                    raise
                # not mended by another process meanwhile. Its journal first: it would be played into the new one
                file.with_name(f"{HASHES}-journal").unlink(missing_ok=True)
                file.unlink(missing_ok=True)
            return _opened(file, work)
    except (sqlite3.Error, OSError, StoreError) as error:
        log.debug("%s: hashes are not kept (%s)", file, error)
        return None


def _opened(file: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)) as connection:
        connection.execute(TABLE)
        return work(connection)


def _is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file is none of SQLite's, is broken, or holds another table: not that it is busy or out of reach."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite says beside it
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
