"""What facts add up to, checkpoint by checkpoint. Takes facts one by one and keeps them in memory; reads no file.

What counts is the order in which facts are taken, that of the file, not the times in them: clocks are set back.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from clir_core.registry.facts import Audited, Decided, Entry, Fact, Found

F = TypeVar("F", bound=Fact)


class Ledger:
    """The facts of a registry, oldest first, and the entries that follow from them."""

    def __init__(self) -> None:
        self._taken = 0
        self._facts: dict[str, dict[type[Fact], list[tuple[int, Fact]]]] = {}  # each with its number
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
        self._taken += 1
        kinds.setdefault(type(fact), []).append((self._taken, fact))
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
            first = {checkpoint: kinds[Found][0][0] for checkpoint, kinds in self._facts.items() if Found in kinds}
            known = map(self.entry, sorted(first, key=lambda checkpoint: first[checkpoint]))
            self._all = tuple(entry for entry in known if entry)
        return self._all

    def last_told(self, kind: type[Fact], among: Sequence[Entry]) -> Entry | None:
        """Of these checkpoints, the one of which a fact of this kind was taken last."""
        told = [entry for entry in among if kind in self._facts[entry.checkpoint]]
        return max(told, key=lambda entry: self._facts[entry.checkpoint][kind][-1][0], default=None)

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
        facts = self._facts.get(checkpoint, {}).get(kind, ())
        return [self._with_own_files(fact) for _, fact in facts if isinstance(fact, kind)]

    def _with_own_files(self, fact: F) -> F:
        """An audit whose files another one, given the same directory, has written over has none."""
        if not isinstance(fact, Audited) or not fact.out:
            return fact
        owner = self._owners[fact.out]
        own = (self._today(owner.checkpoint), owner.asked) == (fact.checkpoint, fact.asked)
        return fact if own else fact.model_copy(update={"out": None})

    def _own(self, out: Path, audit: Audited) -> None:
        if owner := self._owners.get(out):
            self._forget(self._today(owner.checkpoint))
        self._owners[out] = audit

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
            adopted = [(number, self.of_today(fact)) for number, fact in facts]
            kinds[kind] = sorted([*adopted, *kinds.get(kind, ())], key=lambda taken: taken[0])
        self._forget(former)

    def _forget(self, checkpoint: str) -> None:
        self._built.pop(checkpoint, None)
        self._all = None


def _question(fact: Fact) -> str | None:
    return fact.asked if isinstance(fact, Audited) else None
