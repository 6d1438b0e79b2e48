"""What is known of checkpoints: facts, each said at a moment and never taken back, and the entry they add up to."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from clir_core.corpus.pivot import ENGLISH
from clir_core.measure.gate_spec import Outcome, Status
from clir_core.model import served, vectors_ref
from clir_core.model.baseline import BM25, RUN
from clir_core.spec import Spec, Told
from clir_core.workspace import layout

Place = Annotated[Path, AfterValidator(Path.absolute)]  # who reads it may stand elsewhere
Kind = Literal["checkpoints", "audits", "statuses"]

DTYPE = "float32"  # former fingerprints are of vectors of this one, whatever a machine computes with


class Fact(Spec):
    """What is known of a checkpoint since a moment."""

    kind: ClassVar[Kind]
    checkpoint: str = Field(description="Its fingerprint: the digest of its content, wherever it lies")
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def says(self) -> dict[str, object]:
        """All but when and by whom."""
        return self.model_dump(mode="json", exclude={"at", "by"})


class Found(Fact):
    """A checkpoint is there."""

    kind = "checkpoints"
    name: str
    ref: str = Field(
        description="hf:org/name@commit, a directory, bundled:name, vectors:..., http://..., bm25 or run:FILE"
    )
    family: str = Field(description="Checkpoints that follow one another")
    source: str = Field(description="Where it was found: a source of the watch list, align, or audit")
    parent: str | None = Field(None, description="Fingerprint of the checkpoint that it was trained from")
    run: str | None = Field(None, description="Fingerprint of the training that made it")
    formerly: str | None = Field(None, description="Fingerprint under which a registry of before knew it")


class Audited(Fact):
    """An audit of it ended."""

    kind = "audits"
    asked: str = Field(description="sha256 over what was asked on which texts: equal for audits that can be compared")
    corpus: str
    outcome: Outcome = Field(description="Against the baseline; measured where there was none")
    verdict: Told = Field("", description="The audit's first sentence")
    reason: Told = Field("", description="Of the outcome, in sentences")
    baseline: str | None = Field(None, description="Fingerprint of the checkpoint that it was held against")
    pivot: str = Field(ENGLISH, description="What it held the other languages against")
    figures: dict[str, float] | None = Field(
        None, description="Those that a history shows; null where nobody noted them"
    )
    out: Place | None = Field(None, description="The audit's directory; null where it failed")
    by: str = Field("", description="Who or which flow run")


class Decided(Fact):
    """It was given a status."""

    kind = "statuses"
    status: Status
    reason: Told
    by: str = Field("", description="Who or which flow run")
    audit_before: Place | None = Field(None, description="Output directory of its base's audit")
    audit_after: Place | None = Field(None, description="Output directory of its own")


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
        answers = (one for one in reversed(self.audits) if one.asked == asked)
        return next((one for one in answers if one.out and (one.out / layout.AUDIT).exists()), None)

    def is_there(self) -> bool:
        """Whether it can still be loaded, as far as can be told without asking a hub or a server."""
        ref = self.found.ref
        if ref.startswith(vectors_ref.SCHEME):
            return vectors_ref.is_there(ref)
        if ref.startswith(RUN):
            return Path(ref.removeprefix(RUN)).is_file()
        return ref == BM25 or ref.startswith(("hf:", "bundled:", *served.SCHEMES)) or Path(ref).is_dir()
