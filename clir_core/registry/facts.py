"""The registry: which checkpoints there are, what their audits said, and what became of them.

Three append-only LanceDB tables of facts in the workspace; how things stand today is a query over them. Nothing is ever
changed or taken away, so two writers cannot spoil each other's facts, and the history is whole.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import lancedb
import polars as pl
import pyarrow as pa
from pydantic import AfterValidator, Field

from clir_core.errors import SpecError
from clir_core.measure.gate_spec import Outcome, Status
from clir_core.spec import Spec
from clir_core.workspace.locks import locked
from clir_core.workspace.storage import explained

Place = Annotated[Path, AfterValidator(Path.absolute)]  # who reads it may stand elsewhere

FOLDER = "registry"
DTYPE = "float32"  # fingerprints here are of this one, whatever a machine computes with
_SHOWN = 20
_DIGITS = 12  # of a fingerprint that is shown


class Fact(Spec):
    """What is known of a checkpoint since a moment."""

    table: ClassVar[str]
    checkpoint: str = Field(description="Its fingerprint: sha256 over all that decides its vectors")
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def says(self) -> dict[str, object]:
        """All but when and by whom."""
        return self.model_dump(mode="json", exclude={"at", "by"})


class Found(Fact):
    """A checkpoint is there."""

    table = "checkpoints"
    name: str
    ref: str = Field(description="hf:org/name@commit, a directory, or bundled:name")
    family: str = Field(description="Checkpoints that follow one another")
    source: str = Field(description="Where it was found: a source of the watch list, align, or audit")
    parent: str | None = Field(None, description="Fingerprint of the checkpoint that it was trained from")
    run: str | None = Field(None, description="Fingerprint of the training that made it")


class Audited(Fact):
    """An audit of it ended."""

    table = "audits"
    asked: str = Field(description="sha256 over what was asked on which texts: equal for audits that can be compared")
    corpus: str
    outcome: Outcome = Field(description="Against the baseline; measured where there was none")
    verdict: str = Field("", description="The audit's first sentence")
    reason: str = Field("", description="Of the outcome, in sentences")
    baseline: str | None = Field(None, description="Fingerprint of the checkpoint that it was held against")
    out: Place | None = Field(None, description="The audit's directory; null where it failed")
    by: str = Field("", description="Who or which flow run")


class Decided(Fact):
    """It was given a status."""

    table = "statuses"
    status: Status
    reason: str
    by: str = Field("", description="Who or which flow run")
    audit_before: Place | None = Field(None, description="Output directory of its base's audit")
    audit_after: Place | None = Field(None, description="Output directory of its own")


F = TypeVar("F", Found, Audited, Decided)


class Entry(Spec):
    """A checkpoint as it stands today, and how it got there, oldest first."""

    found: Found = Field(description="As it was found last")
    since: datetime
    audits: tuple[Audited, ...]
    history: tuple[Decided, ...]

    @property
    def checkpoint(self) -> str:
        """Its fingerprint."""
        return self.found.checkpoint

    @property
    def name(self) -> str:
        """What people call it; others may be called the same."""
        return self.found.name

    @property
    def status(self) -> Status | None:
        """The last one given; None where nobody has decided."""
        return self.history[-1].status if self.history else None

    def audit(self, asked: str) -> Audited | None:
        """The last audit of this question that did not fail and whose files are still there."""
        found = [one for one in self.audits if one.asked == asked and one.out and (one.out / "audit.json").exists()]
        return found[-1] if found else None

    def is_there(self) -> bool:
        """Whether it can still be loaded, as far as can be told without asking a hub."""
        return self.found.ref.startswith(("hf:", "bundled:")) or Path(self.found.ref).is_dir()


class Registry:
    """The checkpoints of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.directory = workspace / FOLDER

    def add(self, fact: F) -> bool:
        """Append a fact; False, and nothing is written, where the newest of its kind says the same."""
        with locked(self.directory / ".lock"):
            known = [one for one in self._facts(type(fact)) if _key(one) == _key(fact)]
            if known and known[-1].says() == fact.says():
                return False
            with explained(self.directory):
                table = lancedb.connect(self.directory).create_table(
                    fact.table, schema=_schema(type(fact)), exist_ok=True
                )
                row = {**fact.model_dump(mode="json"), "at": fact.at}
                table.add(pa.Table.from_pylist([row], schema=_schema(type(fact))))
        return True

    def entries(self) -> tuple[Entry, ...]:
        """Every checkpoint as it stands today, oldest first."""
        audits, decisions = _by_checkpoint(self._facts(Audited)), _by_checkpoint(self._facts(Decided))
        entries = [
            Entry(
                found=facts[-1],
                since=facts[0].at,
                audits=tuple(audits.get(checkpoint, ())),
                history=tuple(decisions.get(checkpoint, ())),
            )
            for checkpoint, facts in _by_checkpoint(self._facts(Found)).items()
        ]
        return tuple(sorted(entries, key=lambda entry: (entry.since, entry.name)))

    def get(self, checkpoint: str) -> Entry | None:
        """The checkpoint of this fingerprint."""
        return next((entry for entry in self.entries() if entry.checkpoint == checkpoint), None)

    def find(self, ref: str) -> Entry:
        """The checkpoint of this name or reference, or whose fingerprint, or run's, begins with these digits."""
        entries = self.entries()
        named = [entry for entry in entries if ref in (entry.name, entry.found.ref) or _is_at(entry, ref)]
        found = named or [entry for entry in entries if _begins(entry, ref.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise SpecError(f"{ref!r} could be {_listed(found)}; write the fingerprint of one")
        there = f"there are {_listed(entries)}" if entries else "it holds none yet: audit or align a model first"
        raise SpecError(f"{self.directory}: no checkpoint is called {ref!r}; {there}")

    def promoted(self, family: str) -> Entry | None:
        """The checkpoint of a family that was promoted last and has not lost that since."""
        standing = [one for one in self.entries() if one.found.family == family and one.status == "promoted"]
        return max(standing, key=lambda entry: entry.history[-1].at, default=None)

    def _facts(self, kind: type[F]) -> list[F]:
        """All facts of a kind, oldest first."""
        with explained(self.directory):
            if not (self.directory / f"{kind.table}.lance").exists():
                return []
            table = lancedb.connect(self.directory).open_table(kind.table).search().to_arrow()
        frame = pl.DataFrame(pl.from_arrow(table)).sort("at", maintain_order=True)
        return _with_own_files([kind.model_validate(row) for row in frame.iter_rows(named=True)])


def _with_own_files(facts: list[F]) -> list[F]:
    """Audits whose files another one, given the same directory, has written over have none."""
    last = {_out(fact): _key(fact) for fact in facts}
    replaced = [_out(fact) is not None and last[_out(fact)] != _key(fact) for fact in facts]
    return [fact.model_copy(update={"out": None}) if gone else fact for fact, gone in zip(facts, replaced, strict=True)]


def _out(fact: Fact) -> Path | None:
    return fact.out if isinstance(fact, Audited) else None


def _schema(kind: type[Fact]) -> pa.Schema:
    times = {"at": pa.timestamp("us", "UTC")}
    return pa.schema([pa.field(name, times.get(name, pa.string())) for name in kind.model_fields])


def _key(fact: Fact) -> tuple[str, ...]:
    """Facts of one key replace one another."""
    return (fact.checkpoint, fact.asked) if isinstance(fact, Audited) else (fact.checkpoint,)


def _by_checkpoint(facts: Sequence[F]) -> dict[str, list[F]]:
    found: dict[str, list[F]] = {}
    for fact in facts:
        found.setdefault(fact.checkpoint, []).append(fact)
    return found


def _is_at(entry: Entry, ref: str) -> bool:
    return ":" not in entry.found.ref and Path(ref).resolve() == Path(entry.found.ref).resolve()


def _begins(entry: Entry, digits: str) -> bool:
    return bool(digits) and any((f or "").startswith(digits) for f in (entry.checkpoint, entry.found.run))


def _listed(entries: Sequence[Entry]) -> str:
    names = [f"{one.name} ({one.checkpoint[:_DIGITS]}{f', {one.status}' if one.status else ''})" for one in entries]
    more = [f"and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
