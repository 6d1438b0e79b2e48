"""The registry: which checkpoints there are, what their audits said, and what became of them.

Facts in one file of the workspace; how things stand today follows from them. Nothing is ever changed or taken away, so
two writers cannot spoil each other's facts, and the history is whole.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from clir_core.errors import SpecError
from clir_core.registry.facts import Decided, Entry, Fact
from clir_core.registry.facts_file import NAME, FactsFile, Row
from clir_core.registry.lance_tables import has_lance_tables, read_lance_tables
from clir_core.registry.ledger import Ledger
from clir_core.workspace import layout
from clir_core.workspace.locks import locked

log = logging.getLogger(__name__)

NOTHING: Row = (0, "", "")  # before the first row
_SHOWN = 20
_DIGITS = 12  # of a fingerprint that is shown


class Registry:
    """The checkpoints of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.directory = layout.registry(workspace)
        self._facts = _read_so_far(self.directory.absolute())

    def add(self, fact: Fact) -> bool:
        """Append a fact; False, and nothing is written, where the newest of its kind says the same."""
        with self._facts.alone() as ledger:
            fact = ledger.of_today(fact)
            newest = ledger.newest_like(fact)
            if newest and newest.says() == fact.says():
                return False
            self._facts.file.append(fact)
        return True

    def entries(self) -> tuple[Entry, ...]:
        """Every checkpoint as it stands today, oldest first."""
        with self._facts.as_of_now() as ledger:
            return ledger.entries()

    def get(self, checkpoint: str) -> Entry | None:
        """The checkpoint of this fingerprint, or that had it formerly."""
        with self._facts.as_of_now() as ledger:
            return ledger.entry(checkpoint)

    def find(self, ref: str) -> Entry:
        """The checkpoint of this name or reference, or whose fingerprint, or run's, begins with these digits.

        SpecError where there is none, or where it could be several.
        """
        entries = self.entries()
        named = [entry for entry in entries if ref in (entry.name, entry.found.ref) or _is_at(entry, ref)]
        meant = named or [entry for entry in entries if _begins(entry, ref.lower())]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise SpecError(f"{ref!r} could be {_listed(meant)}; write the fingerprint of one")
        there = f"there are {_listed(entries)}" if entries else "it holds none yet: audit or align a model first"
        raise SpecError(f"{self.directory}: no checkpoint is called {ref!r}; {there}")

    def promoted(self, family: str) -> Entry | None:
        """The checkpoint of a family that was promoted last and has not lost that since."""
        standing = [one for one in self.entries() if one.found.family == family and one.status == "promoted"]
        return self.last_told(Decided, standing)

    def last_told(self, kind: type[Fact], among: Sequence[Entry]) -> Entry | None:
        """Of these checkpoints, the one of which a fact of this kind was told last."""
        with self._facts.as_of_now() as ledger:
            return ledger.last_told(kind, among)


class _Facts:
    """What this process has read of a facts file so far, so that it reads nothing twice."""

    def __init__(self, directory: Path) -> None:
        self.file = FactsFile(directory / NAME)
        self._directory = directory
        self._lock = Lock()
        self._ledger, self._last = Ledger(), NOTHING

    @contextmanager
    def as_of_now(self) -> Iterator[Ledger]:
        """All facts that are there, for one thread at a time."""
        if not self.file.exists() and has_lance_tables(self._directory):
            with locked(self._directory / layout.LOCK):
                self._create()
        with self._lock:
            self._catch_up()
            yield self._ledger

    @contextmanager
    def alone(self) -> Iterator[Ledger]:
        """All facts that are there, while nobody else adds one."""
        with locked(self._directory / layout.LOCK):
            self._create()
            with self.as_of_now() as ledger:
                yield ledger

    def _create(self) -> None:
        if self.file.exists():
            return
        facts = read_lance_tables(self._directory) if has_lance_tables(self._directory) else []
        self.file.create(facts)
        if facts:
            log.info("%s: took over %d facts of *.lance beside it, which is read no more", self.file.path, len(facts))

    def _catch_up(self) -> None:
        if not self.file.exists():
            self._ledger, self._last = Ledger(), NOTHING
            return
        rows = self.file.rows(self._last[0])
        if self._last != NOTHING and rows[:1] != [self._last]:
            # another file has come into this one's place
            self._ledger, self._last = Ledger(), NOTHING
            rows = self.file.rows(0)
        new = [row for row in rows if row != self._last]
        for row, fact in zip(new, self.file.facts(new, after=self._last[0]), strict=True):
            self._ledger.take(fact)
            self._last = row


@cache
def _read_so_far(directory: Path) -> _Facts:
    return _Facts(directory)


def _is_at(entry: Entry, ref: str) -> bool:
    return ":" not in entry.found.ref and Path(ref).resolve() == Path(entry.found.ref).resolve()


def _begins(entry: Entry, digits: str) -> bool:
    return bool(digits) and any((f or "").startswith(digits) for f in (entry.checkpoint, entry.found.run))


def _listed(entries: Sequence[Entry]) -> str:
    names = [f"{one.name} ({one.checkpoint[:_DIGITS]}{f', {one.status}' if one.status else ''})" for one in entries]
    more = [f"and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
