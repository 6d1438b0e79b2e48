"""An alignment: its steps in their order, from a checkpoint and training data to a better one, and the proof."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from clir_core.align import contamination
from clir_core.align.audits import audit_spec
from clir_core.align.bare import bare_texts
from clir_core.align.contamination import Contamination
from clir_core.align.data import notes_of, training_triples
from clir_core.align.result import AlignResult, Trained
from clir_core.align.spec import AlignSpec
from clir_core.align.verdict import verdict
from clir_core.audit.exposure import exposure
from clir_core.audit.spec import AuditSpec
from clir_core.errors import AlignError
from clir_core.measure import gate
from clir_core.measure.compare import Difference, compare_audits
from clir_core.measure.gate import Decision
from clir_core.measure.power import foresight
from clir_core.model.baseline import UNSTORED
from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.registry.facts import Decided, Entry
from clir_core.report import alignment_outputs as outputs
from clir_core.runs.read import trained_on
from clir_core.runs.record import record_alignment
from clir_core.runs.runner import Runner
from clir_core.runs.train import run_directory
from clir_core.sources import read_corpus
from clir_core.sources.choice import choose_languages
from clir_core.spec import slug
from clir_core.workspace import layout
from clir_core.workspace.private import close
from clir_core.workspace.progress import Bars
from clir_core.workspace.provenance import git_commit, versions

# what is trained, saved and named; audits on a GPU read it in 16 bits
DTYPE = "float32"
# an audit of this name, "before" or "after": the directory of its files
AuditOf = Callable[[str, AuditSpec], Path]


class Trainers(Protocol):
    """Who trains."""

    def train(
        self, spec: AlignSpec, base: Checkpoint, triples: pa.Table, run: Path, bars: Bars
    ) -> tuple[Trained, bool]:
        """Train in the run's directory, or go on there; and whether that was finished before."""


class Aligned(NamedTuple):
    """What came of an alignment: its result, where its files are, and what was entered for it, if it is news."""

    result: AlignResult
    out: Path
    entry: Entry
    news: Decided | None


def align(spec: AlignSpec, workers: Trainers, runner: Runner, audit: AuditOf, by: str = "") -> Aligned:
    """Train a checkpoint, audit it before and after, decide, write the result's files, and register what came of it."""
    triples = runner.step("read training data", lambda: read(spec), lambda found: _listed(spec, found))
    shared = runner.step("check contamination", lambda: check_contamination(spec, triples), _told)
    base = runner.step("resolve base", lambda: resolved(spec, spec.base), _named)
    run = run_directory(spec, base, triples)
    name = name_of(base, run)
    out = runner.step("check output", lambda: output_directory(spec, name, run))
    seen = runner.step("look for exposure", lambda: seen_by(spec))
    before = runner.timed("audit before", lambda: audit("before", audit_spec(spec, spec.base, seen)))
    foreseen = runner.step("check gate", lambda: foresee(spec, before), str)
    trained = runner.once("train", lambda: train(spec, base, triples, run, workers, runner), retries=2)
    made = runner.step("keep checkpoint", lambda: keep(spec, trained, name))
    after = runner.timed("audit after", lambda: audit("after", audit_spec(spec, made.ref, seen)))
    differences, decision = runner.step(
        "compare and decide", lambda: compare(spec, before, after), lambda found: found[1].status
    )
    found = result(spec, base, shared, trained, made, differences, decision, foreseen, runner.timings, out)
    found = found.model_copy(update={"data_notes": notes_of(triples)})
    runner.step(
        "report",
        lambda: outputs.write_outputs(found, base, triples, (before, after, Path(made.ref)), out),
        lambda _: f"report: {out / layout.REPORT}",
    )
    entry, news = runner.step("register", lambda: record_alignment(found, made, by), _registered)
    return Aligned(found, out, entry, news)


def check(spec: AlignSpec) -> None:
    """Meet the errors that can be met without computing: of the data, the gate, the base."""
    check_contamination(spec, read(spec))
    resolved(spec, spec.base)


def read(spec: AlignSpec) -> pa.Table:
    """Triples to train on. What no audit could judge is refused first."""
    gate.check(spec.gate)
    triples = training_triples(spec.train, spec.languages, spec.triples, spec.seed, spec)
    from clir_core.align.train.checks import check_triples  # imports torch: seconds

    check_triples(triples, spec)
    return triples


def check_contamination(spec: AlignSpec, triples: pa.Table) -> Contamination:
    """What the training set shares with what the audits ask; AlignError where that is not allowed."""
    # all languages: one that was not read cannot be compared
    evaluation = read_corpus(spec.evaluation, reading=spec)
    choose_languages(spec.gate.languages, evaluation.languages, f"{evaluation.name} of the gate")
    return contamination.check(triples, evaluation, spec.allow_contamination, bare_texts(spec))


def seen_by(spec: AlignSpec) -> tuple[str, ...]:
    """Of what the training reads, the corpora with passages that stand in the evaluation's pools and answer nothing."""
    evaluation = read_corpus(spec.evaluation, reading=spec)
    read = dict.fromkeys((spec.train, *spec.head_texts))
    found = {one: exposure(evaluation, trained_on([one]), spec) for one in read}
    return tuple(one for one, met in found.items() if met and met.distractors)


def resolved(spec: AlignSpec, ref: str) -> Checkpoint:
    """A checkpoint to train or that was trained, found or fetched, safe to load. AlignError for another kind."""
    close(spec.workspace)  # here it is written to first
    found = resolve(ref, spec.encoding, layout.models(spec.workspace), DTYPE)
    if found.kind in UNSTORED:
        raise AlignError(
            f"{ref}: has {UNSTORED[found.kind]}, and a training moves the one vector that a model gives a text; take "
            "such a model for base"
        )
    return found


def name_of(base: Checkpoint, run: Path) -> str:
    """What a trained checkpoint is called: after its base and the training."""
    return f"{slug(base.name)}-aligned-{run.name.rpartition('-')[2][:8]}"


def output_directory(spec: AlignSpec, name: str, run: Path) -> Path:
    """Where the results go, if that place is free for this run and can be written."""
    out = (spec.out or layout.alignments(spec.workspace) / f"{name}-{spec.identity()[:8]}").resolve()
    outputs.check_free(out, spec, run.name)
    return out


def foresee(spec: AlignSpec, before: Path) -> str:
    """What the evaluation corpus can decide, in a sentence. SpecError where the gate asks for more."""
    measured = outputs.read_audit(before).metrics
    gate.check_measured(spec.gate, measured, spec.pivot)
    return foresight(measured, spec.gate.margin)


def train(
    spec: AlignSpec, base: Checkpoint, triples: pa.Table, run: Path, workers: Trainers, runner: Runner
) -> tuple[Trained, bool]:
    """The finished training, and whether it was finished before."""
    doing = "training steps" if spec.loss.weights() else "fitting the head"
    trained, done_before = workers.train(spec, base, triples, run, runner.bars(lambda _: doing))
    if done_before:
        runner.say(f"run {run.name} was finished on {trained.finished:%Y-%m-%d %H:%M} UTC; its result is used")
    elif trained.steps:
        runner.say(
            f"run {run.name}: {len(trained.steps):,} steps, the weights after step {trained.best_step:,} are kept"
        )
    else:
        runner.say(f"run {run.name}: the head is fitted, no weight of the base was moved")
    return trained, done_before


def keep(spec: AlignSpec, trained: Trained, name: str) -> Checkpoint:
    """Put the trained checkpoint among the workspace's under its name, which its audit then has.

    AlignError where it gives other vectors than it was judged by, loaded here or by sentence-transformers alone.
    """
    place = (layout.checkpoints(spec.workspace) / name).resolve()
    outputs.keep_checkpoint(trained.checkpoint, place)
    made = resolved(spec, str(place))
    # below the run's directory, as the checkpoint is
    from clir_core.align.train.judged import check_loaded, read_judged  # imports torch: seconds

    check_loaded(made, read_judged(trained.checkpoint.parents[1], trained.checkpoint.name))
    return made


def compare(spec: AlignSpec, before: Path, after: Path) -> tuple[tuple[Difference, ...], Decision]:
    """Both audits paired per query, and what the gate says to it."""
    comparison = compare_audits(before, after)
    return comparison.differences, gate.decide(comparison, spec.gate)


def result(
    spec: AlignSpec,
    base: Checkpoint,
    shared: Contamination,
    trained: Trained,
    made: Checkpoint,
    differences: Sequence[Difference],
    decision: Decision,
    foreseen: str,
    timings: dict[str, float],
    out: Path,
) -> AlignResult:
    """All that the alignment found, with its verdict and what made it."""
    return AlignResult(
        name=made.name,
        spec=spec,
        verdict=verdict(differences, spec.gate, trained.languages, decision),
        decision=decision,
        foresight=foreseen,
        differences=tuple(differences),
        trained=trained.model_copy(update={"checkpoint": out / layout.CHECKPOINT}),
        contamination=shared,
        base_digest=base.digest,
        base_fingerprint=base.vectors,
        digest=made.digest,
        model_fingerprint=made.vectors,
        audit_before=out / layout.BEFORE,
        audit_after=out / layout.AFTER,
        versions=versions(),
        git_commit=git_commit(),
        timings=dict(timings),
        finished=datetime.now(UTC),
    )


def _listed(spec: AlignSpec, triples: pa.Table) -> str:
    of_each = sorted((str(row["values"]), row["counts"]) for row in pc.value_counts(triples["lang"]).to_pylist())
    listed = ", ".join(f"{lang} {count:,}" for lang, count in of_each)
    return " ".join([f"{spec.train}: {len(triples):,} triples ({listed}).", *notes_of(triples)])


def _told(shared: Contamination) -> str:
    return f"{len(shared.allowed)} allowed by name" if shared.allowed else "nothing shared"


def _named(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.name}: digest {checkpoint.digest[:16]}"


def _registered(entered: tuple[Entry, Decided | None]) -> str:
    return f"registered as {entered[0].name}: {entered[0].status}"
