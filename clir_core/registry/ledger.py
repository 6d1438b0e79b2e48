"""What facts add up to, checkpoint by checkpoint. Takes facts one by one and keeps them in memory; reads no file."""

from bisect import insort
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from clir_core.registry.facts import Audited, Decided, Entry, Fact, Found

F = TypeVar("F", bound=Fact)


class Ledger:
    """The facts of a registry, oldest first, and the entries that follow from them."""

    def __init__(self) -> None:
        self._facts: dict[str, dict[type[Fact], list[Fact]]] = {}
        self._now: dict[str, str] = {}  # former fingerprints, and those of today
        self._owners: dict[Path, Audited] = {}  # whose files lie in a directory: the audit that wrote there last
        self._built: dict[str, Entry | None] = {}
        self._all: tuple[Entry, ...] | None = None

    def take(self, fact: Fact) -> None:
        """Take in a fact."""
        fact = self.of_today(fact)
        if isinstance(fact, Found) and fact.formerly:
            self._adopt(fact.formerly, fact.checkpoint)
        kinds = self._facts.setdefault(fact.checkpoint, {})
        insort(kinds.setdefault(type(fact), []), fact, key=_moment)
        if isinstance(fact, Audited) and fact.out:
            self._own(fact.out, fact)
        self._forget(fact.checkpoint)

    def of_today(self, fact: F) -> F:
        """The fact under the fingerprint that its checkpoint has today."""
        now = self._today(fact.checkpoint)
        return fact if now == fact.checkpoint else fact.model_copy(update={"checkpoint": now})

    def newest_like(self, fact: Fact) -> Fact | None:
        """The newest fact that this one replaces, or repeats; of an audit, one of the same question."""
        facts = self._of(self.of_today(fact).checkpoint, type(fact))
        return next((one for one in reversed(facts) if _question(one) == _question(fact)), None)

    def entry(self, checkpoint: str) -> Entry | None:
        """The checkpoint of this fingerprint, or that had it formerly."""
        checkpoint = self._today(checkpoint)
        if checkpoint not in self._built:
            self._built[checkpoint] = self._entry(checkpoint)
        return self._built[checkpoint]

    def entries(self) -> tuple[Entry, ...]:
        """Every checkpoint as it stands today, oldest first."""
        if self._all is None:
            known = [entry for checkpoint in self._facts if (entry := self.entry(checkpoint))]
            self._all = tuple(sorted(known, key=lambda entry: (entry.since, entry.name)))
        return self._all

    def _entry(self, checkpoint: str) -> Entry | None:
        places = self._of(checkpoint, Found)
        if not places:
            return None
        return Entry(
            found=places[-1],
            since=places[0].at,
            audits=tuple(self._of(checkpoint, Audited)),
            history=tuple(self._of(checkpoint, Decided)),
        )

    def _of(self, checkpoint: str, kind: type[F]) -> list[F]:
        facts: Sequence[Fact] = self._facts.get(checkpoint, {}).get(kind, ())
        return [self._with_own_files(fact) for fact in facts if isinstance(fact, kind)]

    def _with_own_files(self, fact: F) -> F:
        """An audit whose files another one, given the same directory, has written over has none."""
        if not isinstance(fact, Audited) or not fact.out:
            return fact
        owner = self._owners[fact.out]
        own = (self._today(owner.checkpoint), owner.asked) == (fact.checkpoint, fact.asked)
        return fact if own else fact.model_copy(update={"out": None})

    def _own(self, out: Path, audit: Audited) -> None:
        owner = self._owners.get(out)
        if not owner or owner.at <= audit.at:
            self._owners[out] = audit
            if owner:
                self._forget(self._today(owner.checkpoint))

    def _today(self, checkpoint: str) -> str:
        while checkpoint in self._now:
            checkpoint = self._now[checkpoint]
        return checkpoint

    def _adopt(self, former: str, checkpoint: str) -> None:
        """What was said of the former fingerprint was said of this one."""
        former = self._today(former)
        if former == checkpoint:
            return
        self._now[former] = checkpoint
        kinds = self._facts.setdefault(checkpoint, {})
        for kind, facts in self._facts.pop(former, {}).items():
            kinds[kind] = sorted([*map(self.of_today, facts), *kinds.get(kind, ())], key=_moment)
        self._forget(former)

    def _forget(self, checkpoint: str) -> None:
        self._built.pop(checkpoint, None)
        self._all = None


def _moment(fact: Fact) -> datetime:
    return fact.at


def _question(fact: Fact) -> str | None:
    return fact.asked if isinstance(fact, Audited) else None
