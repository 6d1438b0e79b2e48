"""The steps of the nightly run as Prefect tasks; its audits are the flow `audit`."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import State

from clir_core.errors import ClirError, NightlyError
from clir_core.measure import gate
from clir_core.measure.compare import compare_audits
from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.registry.discovery import Discovered, Problem, discover
from clir_core.registry.facts import DTYPE, Audited, Entry, Found, Registry
from clir_core.registry.history import of_family
from clir_core.registry.nightly import Due, Judged, NightlySpec, NightlySummary, as_markdown, due_audits
from clir_core.registry.watch import WatchList, read_watch_list
from clir_core.sources import read_corpus
from tasks.audit import slug
from tasks.events import tell
from tasks.registry import found, who
from tasks.step import step

BASELINE = "baseline"
UNWATCHED = ("audit", "align")  # sources of checkpoints that no watch list has claimed yet


@step("read watch list")
def read(spec: NightlySpec) -> tuple[WatchList, str]:
    """The watch list, and the fingerprint of what it asks every checkpoint."""
    watch = read_watch_list(spec.watch)
    gate.check(watch.gate)
    gate.check_asked(watch.gate, watch.audit)
    corpus = read_corpus(watch.audit.corpus, watch.audit.languages)
    get_run_logger().info(
        "%s: %d families, audited on %s in %s",
        spec.watch,
        len(watch.families),
        corpus.name,
        ", ".join(corpus.languages),
    )
    return watch, watch.audit.asked(corpus.fingerprint())


@step("find checkpoints")
def find(spec: NightlySpec, watch: WatchList, asked: str) -> tuple[Discovered, tuple[Due, ...], int]:
    """Look at every source, register what is new, and say which audits are due and how many are known."""
    logger, registry = get_run_logger(), Registry(spec.workspace)
    baselines: dict[str, str] = {}
    problems: list[Problem] = []
    for family in watch.families:
        if family.baseline:
            checkpoint = _resolved(family.baseline, f"{family.name}, baseline", spec, watch, problems)
            if checkpoint:
                baselines[family.name] = checkpoint.digest
                _register(registry, found(checkpoint, family.name, BASELINE))
    discovered = discover(watch, spec.workspace)
    seen = list(baselines.values())
    for one in discovered.seen:
        checkpoint = _resolved(one.ref, one.label, spec, watch, problems)
        if checkpoint:
            fact = found(checkpoint, one.family, one.source).model_copy(update={"name": one.label})
            _register(registry, fact)
            seen.append(checkpoint.digest)
    for waits in discovered.waiting:
        logger.info("not yet: %s: %s", waits.place, waits.reason)
    discovered = discovered.model_copy(update={"problems": (*discovered.problems, *problems)})
    for problem in discovered.problems:
        logger.error("%s: %s", problem.place, problem.reason)
    due = due_audits(spec, watch, seen, baselines, asked)
    logger.info("%d checkpoints, %d audits are due", len(set(seen)), len(due))
    return discovered, due, len(set(seen) - {one.checkpoint for one in due})


def _resolved(ref: str, place: str, spec: NightlySpec, watch: WatchList, problems: list[Problem]) -> Checkpoint | None:
    try:
        return resolve(ref, watch.audit.encoding, spec.workspace / "models", DTYPE)
    except ClirError as error:
        problems.append(Problem(place=place, reason=str(error)))
        return None


def _register(registry: Registry, fact: Found) -> None:
    """A checkpoint that is new, has another place, or belongs to another family by this watch list.

    A baseline stays in the family that it was first watched in: several may be held against it.
    """
    known = registry.get(fact.checkpoint)
    if not known:
        registry.add(fact)
        return
    claimed = known.found.source not in UNWATCHED
    moves = known.found.family != fact.family and not (claimed and fact.source == BASELINE)
    if moves or not known.is_there():
        # what it was made from stays known
        registry.add(fact.model_copy(update={"parent": known.found.parent, "run": known.found.run}))


def failure(state: State[Any]) -> str:
    """Why an audit did not complete; empty where it did."""
    if state.is_completed():
        return ""
    error = state.result(raise_on_failure=False)
    return str(error) if isinstance(error, ClirError) else str(state.message or error)


@step("judge")
def judge(spec: NightlySpec, watch: WatchList, due: Due, asked: str, failed: str) -> Judged:
    """Hold a finished audit against its baseline's, register what that says, and emit the events."""
    registry = Registry(spec.workspace)
    entry = registry.get(due.checkpoint)
    assert entry
    measured = None if failed else entry.audit(asked)
    try:
        if not measured:
            raise NightlyError(
                failed or f"{asked[:12]}: its audit asked something else; did the corpus change meanwhile? Run again"
            )
        fact = _against_baseline(registry, watch, due, measured)
    except ClirError as error:
        fact = Audited(
            checkpoint=due.checkpoint,
            asked=asked,
            corpus=due.audit.corpus,
            outcome="failed",
            reason=str(error),
            by=who(),
        )
    if registry.add(fact) and (fact.outcome == "regressed" or fact.outcome == "improved"):
        tell(fact.outcome, entry, fact)
    level = logging.ERROR if fact.outcome == "failed" else logging.INFO
    get_run_logger().log(level, "%s: %s. %s", entry.name, fact.outcome, fact.reason or fact.verdict)
    return _judged(entry, fact)


def _judged(entry: Entry, fact: Audited) -> Judged:
    return Judged(
        checkpoint=entry.checkpoint,
        name=entry.name,
        family=entry.found.family,
        outcome=fact.outcome,
        reason=fact.reason or fact.verdict,
        out=fact.out,
    )


def _against_baseline(registry: Registry, watch: WatchList, due: Due, measured: Audited) -> Audited:
    base = due.baseline and registry.get(due.baseline)
    before = base.audit(measured.asked) if base else None
    if not base or not before or not before.out or not measured.out:
        reason = f"Its baseline {base.name} has no audit to compare with." if base else ""
        return measured.model_copy(update={"reason": reason, "by": who()})
    differences = compare_audits(before.out, measured.out)
    outcome = gate.outcome(differences, watch.gate)
    decided = gate.decide(differences, watch.gate).reason
    reason = "Nothing is better or worse beyond chance." if outcome == "unchanged" else decided
    changes = {"outcome": outcome, "baseline": base.checkpoint, "reason": f"Against {base.name}: {reason}"}
    return Audited(**(measured.model_dump(exclude={"at"}) | changes | {"by": who()}))


@step("publish")
def publish(
    spec: NightlySpec, watch: WatchList, asked: str, discovered: Discovered, now: Sequence[Judged], known: int
) -> NightlySummary:
    """One summary of the night, and every family's history; NightlyError where something failed."""
    entries = Registry(spec.workspace).entries()
    before = judged_before(entries, asked, {one.checkpoint for one in now})
    judged = (*before, *now)
    summary = NightlySummary(
        judged=judged, known=known - len(before), waiting=discovered.waiting, problems=discovered.problems
    )
    create_markdown_artifact(as_markdown(summary), key="nightly", description=f"The night's audits of {spec.watch}")
    for family in watch.families:
        history = of_family(entries, family.name)
        key = f"history-{slug(family.name)}"
        create_markdown_artifact(history.as_markdown(), key=key, description=f"{family.name}: its checkpoints")
        create_table_artifact(history.rows(), key=f"{key}-table", description=f"{family.name}: its checkpoints")
    if summary.failed:
        listed = "\n".join(f"  - {one}" for one in summary.failed)
        raise NightlyError(
            f"{len(summary.failed)} of the night's checks failed, the other {len(judged) - _failures(judged)} audits "
            f"are done; mend these, then run again: what is done is not done twice\n{listed}"
        )
    return summary


def judged_before(entries: Sequence[Entry], asked: str, now: Collection[str]) -> list[Judged]:
    """What this run judged before it was cut off and started again, without what it has judged `now`."""
    if flow_run.run_count < 2:
        return []
    mine = [(entry, [one for one in entry.audits if (one.asked, one.by) == (asked, who())]) for entry in entries]
    return [_judged(entry, facts[-1]) for entry, facts in mine if facts and entry.checkpoint not in now]


def _failures(judged: Sequence[Judged]) -> int:
    return sum(one.outcome == "failed" for one in judged)
