"""The registry: which checkpoints were made, from what, how they fared, and what became of them.

One JSON file a checkpoint in the workspace, replaced whole or not at all. A status is never overwritten: it joins the
history, with its reason, its audits and its time.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from clir_core.errors import AlignError, SpecError, StoreError
from clir_core.spec import Spec
from clir_core.steps import write_text
from clir_core.store import explained

Status = Literal["candidate", "promoted", "rejected"]
Place = Annotated[Path, AfterValidator(Path.absolute)]  # who reads it may stand elsewhere

FOLDER = "registry"
_SHOWN = 20
_FINGERPRINT = 12  # hex digits shown of one


class Change(Spec):
    """A status that a checkpoint was given, and what it rests on."""

    status: Status
    reason: str
    audit_before: Place | None
    audit_after: Place | None
    at: datetime


class Entry(Spec):
    """A checkpoint as it stands today; how it got there is its history, oldest first."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Letters, digits, dots, - and _")
    path: Place = Field(description="The checkpoint's directory")
    model_fingerprint: str = Field(description="sha256 of the checkpoint")
    base: str = Field(description="Reference of the model it was trained from")
    base_fingerprint: str
    align_fingerprint: str = Field(description="sha256 of the AlignSpec, which names the run")
    audit_before: Place | None = Field(None, description="Output directory of the base's audit")
    audit_after: Place | None = Field(None, description="Output directory of the checkpoint's audit")
    status: Status
    reason: str
    created: datetime
    history: tuple[Change, ...] = Field((), description="Kept by the registry")


class Registry:
    """The checkpoints of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.directory = workspace / FOLDER

    def register(self, entry: Entry) -> Entry:
        """Add a checkpoint, or give one that is there a new status. Returns it with its whole history."""
        path = self.directory / f"{entry.name}.json"
        with self._locked():
            known = _read(path) if path.exists() else None
            if known:
                _check_same_run(known, entry, path)
            merged = _merged(known, entry)
            if merged != known:
                write_text(path, merged.model_dump_json(indent=1))
        return merged

    def entries(self) -> tuple[Entry, ...]:
        """Every checkpoint, oldest first."""
        with explained(self.directory):
            paths = list(self.directory.iterdir()) if self.directory.exists() else []
        # scratch files end otherwise
        found = [_read(path) for path in paths if path.suffix == ".json"]
        return tuple(sorted(found, key=lambda entry: (entry.created, entry.name)))

    def find(self, ref: str) -> Entry:
        """The checkpoint of this name or directory, or whose fingerprint, or run's, begins with these digits."""
        entries = self.entries()
        named = [entry for entry in entries if ref == entry.name or Path(ref).resolve() == entry.path.resolve()]
        found = named or [entry for entry in entries if _begins(entry, ref.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            raise SpecError(f"{ref!r} could be {_listed(found)}; write the name of one")
        there = f"there are {_listed(entries)}" if entries else "it holds none yet: align a model first"
        raise SpecError(f"{self.directory}: no checkpoint is called {ref!r}; {there}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over processes and threads; a killed one holds nothing back."""
        with explained(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / ".lock").open("w")
        with lock:
            with explained(self.directory):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> Entry:
    with explained(path):
        text = path.read_text("utf-8")
        try:
            return Entry.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "the file"
            raise StoreError(
                f"{path}: is no registry entry ({place}: {problem['msg']}); move it away, then register the checkpoint "
                "again by running its alignment once more: what is finished is not trained again"
            ) from error


def _begins(entry: Entry, digits: str) -> bool:
    return bool(digits) and any(f.startswith(digits) for f in (entry.model_fingerprint, entry.align_fingerprint))


def _check_same_run(known: Entry, entry: Entry, path: Path) -> None:
    kinds = (("align_fingerprint", "run"), ("model_fingerprint", "checkpoint"))
    other = [
        f"{kind} {getattr(known, field)[:_FINGERPRINT]}, not {getattr(entry, field)[:_FINGERPRINT]}"
        for field, kind in kinds
        if getattr(known, field) != getattr(entry, field)
    ]
    if other:
        raise AlignError(
            f"{path}: the name {entry.name!r} belongs to {' and '.join(other)}; choose another name, or move that file "
            "away if its checkpoint is no longer wanted"
        )


def _merged(known: Entry | None, entry: Entry) -> Entry:
    """The newer entry, with a history that only grows."""
    history = known.history if known else entry.history
    given = {name: getattr(entry, name) for name in ("status", "reason", "audit_before", "audit_after")}
    if not history or history[-1].model_dump(exclude={"at"}) != given:
        history = (*history, Change(**given, at=datetime.now(UTC)))
    return entry.model_copy(update={"history": history, "created": known.created if known else entry.created})


def _listed(entries: Sequence[Entry]) -> str:
    names = [f"{entry.name} ({entry.model_fingerprint[:_FINGERPRINT]}, {entry.status})" for entry in entries[:_SHOWN]]
    return ", ".join([*names, *([f"and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else [])])
