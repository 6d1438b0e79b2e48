"""The file that keeps a registry's facts: one SQLite table to which rows are added and in which nothing ever changes.

SQLite, because a fact must be safe against a kill at any moment, and LanceDB takes a second to import and three files
a fact. With a rollback journal: a write-ahead log wants memory that processes share, which a network's disk has not.
"""

import errno
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from clir_core.errors import DamageError, StoreError
from clir_core.registry.facts import Audited, Decided, Fact, Found
from clir_core.workspace.atomic import sweep, write_file
from clir_core.workspace.storage import explained

NAME = "facts.sqlite"
TABLE = "CREATE TABLE facts (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)"
VERSION = 1  # of the table
PATIENCE = 60.0  # seconds for another process to end its write; one takes milliseconds
KINDS: dict[str, type[Fact]] = {kind.kind: kind for kind in (Found, Audited, Decided)}
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Row: TypeAlias = tuple[int, str, str]  # its number from 1 on, the fact's kind, and the fact as JSON


class FactsFile:
    """One file of facts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether there is one yet."""
        with explained(self.path):
            return self.path.exists()

    def create(self, facts: Iterable[Fact]) -> None:
        """Make the file with these facts: it is there with all of them, or it is not there."""

        def write(scratch: Path) -> None:
            scratch.touch()
            with FactsFile(scratch)._writing() as connection:
                connection.execute(TABLE)
                connection.execute(f"PRAGMA user_version = {VERSION}")
                _insert(connection, facts)

        sweep(self.path)
        write_file(self.path, write)

    def append(self, fact: Fact) -> None:
        """Add a fact. When this returns, the disk has it."""
        with self._writing() as connection:
            _insert(connection, [fact])

    def rows(self, start: int) -> list[Row]:
        """The rows from this number on."""
        with self._open() as connection:
            found = connection.execute("SELECT seq, kind, body FROM facts WHERE seq >= ? ORDER BY seq", (start,))
            return found.fetchall()

    def fact(self, row: Row) -> Fact:
        """The fact in a row."""
        number, kind, body = row
        try:
            return KINDS[kind].model_validate_json(body)
        except (KeyError, ValidationError) as error:
            raise self._damaged(f"its row {number} holds no fact") from error

    def check(self) -> None:
        """DamageError where any of it is damaged, or a row is missing."""
        with self._open() as connection:
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise self._damaged(" ".join(said.split()))
        self.facts(self.rows(1), after=0)

    def facts(self, rows: Iterable[Row], after: int) -> list[Fact]:
        """The facts in rows that follow the row of this number. DamageError where one is missing, or holds none."""
        found = []
        for number, row in enumerate(rows, after + 1):
            if row[0] != number:
                raise self._damaged(f"its row {number} is missing")
            found.append(self.fact(row))
        return found

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as connection:
            # EXTRA, not FULL: without it a power cut may bring back the journal, and take back what was written
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work: nothing stays open that a fork or another thread could inherit."""
        # rw, for readers too: whoever comes first after a kill rolls back what the killed one had half written
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with explained(self.path):
            try:
                with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)) as connection:
                    self._check_version(connection)
                    yield connection
            except sqlite3.Error as error:
                raise self._told(error) from error

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(f"{self.path}: was written by a later version of clir-audit; update this one")

    def _told(self, error: sqlite3.Error) -> StoreError | OSError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite says beside it
        if code in DAMAGED or "no such table" in str(error):
            return self._damaged(str(error))
        if code == sqlite3.SQLITE_BUSY:
            return StoreError(f"{self.path}: in use by another process for {PATIENCE:g} s; end it, then run again")
        return OSError(errno.ENOSPC, str(error)) if code == sqlite3.SQLITE_FULL else OSError(str(error))

    def _damaged(self, reason: str) -> DamageError:
        return DamageError(
            f"{self.path}: is damaged ({reason}); `clir doctor` says what can be read of it, and with --repair carries "
            "that over into a new file; a copy from your backup in its place is better still"
        )


def _insert(connection: sqlite3.Connection, facts: Iterable[Fact]) -> None:
    rows = [(fact.kind, fact.model_dump_json()) for fact in facts]
    connection.executemany("INSERT INTO facts (kind, body) VALUES (?, ?)", rows)
