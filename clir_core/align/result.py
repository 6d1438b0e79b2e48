"""What an alignment run answers: Trained from the training alone, AlignResult with both audits and the verdict."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from clir_core.align.contamination import Contamination
from clir_core.align.spec import AlignSpec
from clir_core.measure.compare import Difference
from clir_core.measure.gate import Decision
from clir_core.spec import Spec


class Progressed(Spec):
    """One training step, as the curve shows it."""

    step: int
    loss: float
    parts: dict[str, float] = Field(description="Each term of the loss, not weighted")
    rate: float = Field(description="Learning rate")
    gradient: float = Field(description="Length of the gradient before clipping")
    seconds: float = Field(0.0, description="That the step took")


class Evaluated(Spec):
    """The held-out pool during training, means over its languages."""

    step: int = Field(description="Steps done before it; 0 is the base")
    max_at_r_norm: float = Field(description="In pools of English and X, both query sides, percent")
    mono_acc: float = Field(description="Monolingual acc@1, English included, 0 to 1")
    score: float = Field(description="What the best checkpoint is chosen by: the mean of both, each 0 to 1")

    @classmethod
    def of(cls, step: int, max_at_r_norm: float, mono_acc: float) -> "Evaluated":
        """Both figures and their score."""
        score = (max_at_r_norm / 100 + mono_acc) / 2
        return cls(step=step, max_at_r_norm=max_at_r_norm, mono_acc=mono_acc, score=score)


class Trained(Spec):
    """A finished training: where its checkpoint is and how it went. Its directory is named by what it depends on."""

    name: str = Field(description="The run's name: its fingerprint")
    checkpoint: Path = Field(description="A sentence-transformers directory")
    steps: tuple[Progressed, ...]
    evaluations: tuple[Evaluated, ...]
    best_step: int = Field(description="The evaluation whose weights were kept")
    with_head: Evaluated | None = Field(None, description="The weights that were kept, with their head")
    triples: int
    held_out: int = Field(description="Groups of passages that were kept from the training to evaluate it")
    languages: dict[str, int] = Field(description="Triples of each language")
    seconds: float = Field(description="In training steps, all sessions of this run together")
    seconds_around: float = Field(
        description="Everything else in the session that finished it: starting workers, evaluations, saving"
    )
    finished: datetime = Field(default_factory=lambda: datetime.now(UTC))


class AlignResult(Spec):
    """Everything an alignment run found. align.json is this, field by field."""

    name: str
    spec: AlignSpec
    verdict: tuple[str, ...] = Field(description="First what was gained and what it cost, in one sentence")
    decision: Decision
    foresight: str = Field("", description="What the evaluation corpus can decide, known before the training")
    differences: tuple[Difference, ...] = Field(description="After minus before, paired per query")
    trained: Trained
    contamination: Contamination
    data_notes: tuple[str, ...] = Field((), description="What was read of the training corpus, and how")
    base_digest: str = Field("", description="Of the base's content; empty in older results")
    base_fingerprint: str = Field(description="Of its vectors")
    digest: str = Field("", description="Of the trained checkpoint's content; empty in older results")
    model_fingerprint: str = Field(description="Of its vectors")
    audit_before: Path = Field(description="Directory of the base's audit")
    audit_after: Path
    versions: dict[str, str]
    git_commit: str | None
    timings: dict[str, float] = Field(description="Seconds a step; 0 for a step that was done before")
    finished: datetime


class AlignSummary(Spec):
    """What the flow returns: small, the rest is in `out`."""

    out: Path
    checkpoint: Path
    verdict: tuple[str, ...]
