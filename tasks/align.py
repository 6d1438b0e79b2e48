"""The steps of an alignment run as Prefect tasks; its audits are the flow `audit`. Each says what came of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from prefect.logging import get_run_logger

from clir_core.align import contamination
from clir_core.align.contamination import Contamination
from clir_core.align.data import training_triples
from clir_core.align.result import AlignResult, Trained
from clir_core.align.spec import AlignSpec
from clir_core.align.train.checks import check_triples
from clir_core.align.verdict import verdict
from clir_core.jobs import submit
from clir_core.jobs import train as job
from clir_core.jobs.requests import TrainRequest
from clir_core.measure import gate
from clir_core.measure.compare import Difference, compare_audits
from clir_core.measure.gate import Decision
from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.report import alignment_outputs as outputs
from clir_core.sources import read_corpus
from clir_core.sources.choice import choose_languages
from clir_core.workspace.provenance import git_commit, versions
from clir_core.workspace.steps import RESULT, read_result
from tasks.audit import slug
from tasks.progress import Progress
from tasks.step import step

# what is trained, saved and named; audits on a GPU read it in 16 bits
DTYPE = "float32"


@step("read training data")
def read(spec: AlignSpec) -> pa.Table:
    """Triples to train on. What no audit could judge is refused first."""
    gate.check(spec.gate)
    triples = training_triples(spec.train, spec.languages, spec.triples, spec.seed)
    check_triples(triples, spec)
    of_each = sorted((str(row["values"]), row["counts"]) for row in pc.value_counts(triples["lang"]).to_pylist())
    listed = ", ".join(f"{lang} {count:,}" for lang, count in of_each)
    get_run_logger().info("%s: %s triples (%s)", spec.train, f"{len(triples):,}", listed)
    return triples


@step("check contamination")
def check_contamination(spec: AlignSpec, triples: pa.Table) -> Contamination:
    """Stop where the training set holds what the audits ask."""
    # all languages: one that was not read cannot be compared
    evaluation = read_corpus(spec.evaluation)
    choose_languages(spec.gate.languages, evaluation.languages, f"{evaluation.name} of the gate")
    shared = contamination.check(triples, evaluation, spec.allow_contamination)
    told = f"{len(shared.allowed)} allowed by name" if shared.allowed else "nothing shared"
    get_run_logger().info("%s against %s: %s", spec.train, evaluation.name, told)
    return shared


@step("resolve base")
def resolve_base(spec: AlignSpec) -> Checkpoint:
    """Find the checkpoint to train, check that it is safe to load, and fingerprint it."""
    base = resolve(spec.base, spec.encoding, spec.workspace / "models", DTYPE)
    get_run_logger().info("%s: digest %s", base.name, base.digest[:16])
    return base


@step("check output")
def check_output(spec: AlignSpec, name: str, run: Path) -> Path:
    """Where the results go, if that place is free for this run and can be written."""
    out = (spec.out or spec.workspace / "alignments" / f"{name}-{spec.identity()[:8]}").resolve()
    outputs.check_free(out, spec, run.name)
    return out


@step("check gate")
def check_gate(spec: AlignSpec, before: Path) -> None:
    """Stop before the training where the base's audit lacks what the gate asks for."""
    gate.check_measured(spec.gate, outputs.read_audit(before).metrics)


@step("train", retries=2)
def train(spec: AlignSpec, base: Checkpoint, triples: pa.Table, run: Path) -> tuple[Trained, bool]:
    """Train with Ray Train, or go on where an earlier session ended. Says whether that was finished before."""
    # made when there is something to show: a finished run shows none
    bar = cache(lambda: Progress("training steps" if spec.loss.weights() else "fitting the head", "train"))

    def is_done() -> bool:
        return read_result(run / RESULT, Trained) is not None

    by_job = spec.runtime.jobs is not None and not is_done()
    if spec.runtime.jobs and by_job:
        request = TrainRequest(spec=spec, base=base, run=run)
        submit.do_by_job(spec.runtime.jobs, request, is_done, lambda _: bar(), get_run_logger().info)
    trained, found = job.train(spec, base, triples, run, lambda done, total: bar()(done, total))
    done_before = found and not by_job
    if done_before:
        told = f"run {run.name} was finished on {trained.finished:%Y-%m-%d %H:%M} UTC; its result is used"
    elif trained.steps:
        told = f"run {run.name}: {len(trained.steps):,} steps, the weights after step {trained.best_step:,} are kept"
    else:
        told = f"run {run.name}: the head is fitted, no weight of the base was moved"
    get_run_logger().info(told)
    return trained, done_before


@step("keep checkpoint")
def keep(spec: AlignSpec, trained: Trained, name: str) -> Checkpoint:
    """Put the trained checkpoint among the workspace's under its name, which its audit then has."""
    place = (spec.workspace / "checkpoints" / name).resolve()
    outputs.keep_checkpoint(trained.checkpoint, place)
    return resolve(str(place), spec.encoding, spec.workspace / "models", DTYPE)


@step("compare and decide")
def compare(spec: AlignSpec, before: Path, after: Path) -> tuple[tuple[Difference, ...], Decision]:
    """Both audits paired per query, and what the gate says to it."""
    differences = compare_audits(before, after)
    decision = gate.decide(differences, spec.gate)
    get_run_logger().info("%s", decision.status)
    return differences, decision


@step("report")
def report(
    spec: AlignSpec,
    base: Checkpoint,
    triples: pa.Table,
    shared: Contamination,
    trained: Trained,
    made: Checkpoint,
    compared: tuple[tuple[Difference, ...], Decision],
    audits: Sequence[Path],
    timings: dict[str, float],
    out: Path,
) -> AlignResult:
    """Write align.json, report.html, the checkpoint with its card, both audits and the triples."""
    differences, decision = compared
    result = AlignResult(
        name=made.name,
        spec=spec,
        verdict=verdict(differences, spec.gate, trained.languages, decision),
        decision=decision,
        differences=differences,
        trained=trained.model_copy(update={"checkpoint": out / outputs.CHECKPOINT}),
        contamination=shared,
        base_digest=base.digest,
        base_fingerprint=base.vectors,
        digest=made.digest,
        model_fingerprint=made.vectors,
        audit_before=out / outputs.BEFORE,
        audit_after=out / outputs.AFTER,
        versions=versions(),
        git_commit=git_commit(),
        timings=timings,
        finished=datetime.now(UTC),
    )
    outputs.write_outputs(result, base, triples, (*audits, made.path), out)
    get_run_logger().info("report: %s", out / "report.html")
    return result


def name_of(base: Checkpoint, run: Path) -> str:
    """What a trained checkpoint is called: after its base and the training."""
    return f"{slug(base.name)}-aligned-{run.name.rpartition('-')[2][:8]}"
