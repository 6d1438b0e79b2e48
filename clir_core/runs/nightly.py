"""A night as plain functions: what is there, which audits are due, and what each of them says."""

import logging
from collections.abc import Collection, Sequence

from clir_core.corpus.clusters import cluster_queries
from clir_core.corpus.tables import Corpus
from clir_core.errors import ClirError, NightlyError, first_line
from clir_core.measure import gate
from clir_core.measure.compare import compare_audits
from clir_core.model.checkpoint import resolve
from clir_core.registry.discovery import Discovered, Problem, discover
from clir_core.registry.facts import DTYPE, Audited, Entry, Found
from clir_core.registry.nightly import Due, Judged, NightlySpec, NightlySummary, due_audits
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList, read_watch_list
from clir_core.runs import offer
from clir_core.runs.read import read
from clir_core.runs.record import found, known_as
from clir_core.workspace import layout
from clir_core.workspace.private import close

log = logging.getLogger(__name__)

BASELINE = "baseline"
UNWATCHED = ("audit", "align")  # sources of checkpoints that no watch list has claimed yet


def read_night(spec: NightlySpec) -> tuple[WatchList, Corpus]:
    """The watch list, and the corpus that every checkpoint is asked on.

    SpecError where its gate asks for more, or where the corpus knows no such clusters.
    """
    watch = read_watch_list(spec.watch)
    gate.check(watch.gate)
    gate.check_asked(watch.gate, watch.audit)
    offer.check(watch)
    corpus = read(watch.audit).corpus  # without what was seen, as its audits register what they asked
    cluster_queries(corpus, watch.audit.cluster)
    return watch, corpus


def find_due(spec: NightlySpec, watch: WatchList, asked: str) -> tuple[Discovered, tuple[Due, ...], int]:
    """Look at every source, register what is new, and say which audits are due and how many are known."""
    close(spec.workspace)
    registry = Registry(spec.workspace)
    baselines: dict[str, str] = {}
    problems: list[Problem] = []
    for family in watch.families:
        if family.baseline:
            fact = _found(family.baseline, f"{family.name}, baseline", family.name, BASELINE, spec, watch, problems)
            if fact:
                baselines[family.name] = fact.checkpoint
                register(registry, fact)
    discovered = discover(watch, spec.workspace)
    seen = list(baselines.values())
    for one in discovered.seen:
        if fact := _found(one.ref, one.label, one.family, one.source, spec, watch, problems):
            register(registry, fact.model_copy(update={"name": one.label}))
            seen.append(fact.checkpoint)
    discovered = discovered.model_copy(update={"problems": (*discovered.problems, *problems)})
    due = due_audits(spec, watch, seen, baselines, asked)
    return discovered, due, len(set(seen) - {one.checkpoint for one in due})


def _found(
    ref: str, place: str, family: str, source: str, spec: NightlySpec, watch: WatchList, problems: list[Problem]
) -> Found | None:
    """What a reference leads to; None, and one problem more, where that cannot be read."""
    try:
        return found(resolve(ref, watch.audit.encoding, layout.models(spec.workspace), DTYPE), family, source)
    except ClirError as error:
        problems.append(Problem(place=place, reason=str(error)))
    except Exception as error:
        # what a stranger's file makes a library raise, and nobody thought of, stops no other checkpoint
        log.exception("%s", ref)
        reason = f"{ref}: cannot be read ({type(error).__name__}: {first_line(error)}); does it load by itself?"
        problems.append(Problem(place=place, reason=reason))
    return None


def register(registry: Registry, fact: Found) -> None:
    """Enter a checkpoint that is new, has another place, or belongs to another family by this watch list.

    A baseline stays in the family that it was first watched in: several may be held against it.
    """
    known, fact = known_as(registry, fact)
    if not known:
        registry.add(fact)
        return
    claimed = known.found.source not in UNWATCHED
    moves = known.found.family != fact.family and not (claimed and fact.source == BASELINE)
    if moves or not known.is_there():
        # what it was made from stays known
        registry.add(fact.model_copy(update={"parent": known.found.parent, "run": known.found.run}))


def judge(
    spec: NightlySpec, watch: WatchList, due: Due, asked: str, failed: str, by: str
) -> tuple[Entry, Audited, bool]:
    """Hold a finished audit against its baseline's, and enter what that says; says whether it is news.

    `failed` is why the audit did not end, empty where it did.
    """
    registry = Registry(spec.workspace)
    entry = registry.get(due.checkpoint)
    assert entry
    measured = None if failed else entry.audit(asked)
    try:
        if not measured:
            raise NightlyError(
                failed or f"{asked[:12]}: its audit asked something else; did the corpus change meanwhile? Run again"
            )
        fact = _against_baseline(registry, watch, due, measured, by)
    except ClirError as error:
        fact = Audited(
            checkpoint=due.checkpoint,
            asked=asked,
            corpus=due.audit.corpus,
            pivot=due.audit.pivot,
            outcome="failed",
            reason=str(error),
            by=by,
        )
    return entry, fact, registry.add(fact)


def _against_baseline(registry: Registry, watch: WatchList, due: Due, measured: Audited, by: str) -> Audited:
    base = registry.get(due.baseline) if due.baseline else None
    before = base.audit(measured.asked) if base else None
    if not base or not before or not before.out or not measured.out:
        reason = f"Its baseline {base.name} has no audit to compare with." if base else ""
        return measured.model_copy(update={"reason": reason, "by": by})
    comparison = compare_audits(before.out, measured.out)
    outcome = gate.outcome(comparison, watch.gate)
    decided = gate.decide(comparison, watch.gate).reason
    reason = "Nothing is better or worse beyond chance." if outcome == "unchanged" else decided
    changes = {"outcome": outcome, "baseline": base.checkpoint, "reason": f"Against {base.name}: {reason}", "by": by}
    return Audited(**(measured.model_dump(exclude={"at"}) | changes))


def judged(entry: Entry, fact: Audited) -> Judged:
    """What a night says of an audit."""
    return Judged(
        checkpoint=entry.checkpoint,
        name=entry.name,
        family=entry.found.family,
        outcome=fact.outcome,
        reason=fact.reason or fact.verdict,
        out=fact.out,
    )


def judged_before(entries: Sequence[Entry], asked: str, now: Collection[str], by: str) -> list[Judged]:
    """What this run judged before it was cut off and started again, without what it has judged `now`."""
    mine = [(entry, [one for one in entry.audits if (one.asked, one.by) == (asked, by)]) for entry in entries]
    return [judged(entry, facts[-1]) for entry, facts in mine if facts and entry.checkpoint not in now]


def check_night(summary: NightlySummary) -> None:
    """NightlyError that lists what failed, where something did."""
    if summary.failed:
        listed = "\n".join(f"  - {one}" for one in summary.failed)
        done = sum(one.outcome != "failed" for one in summary.judged)
        raise NightlyError(
            f"{len(summary.failed)} of the night's checks failed, the other {done} audits are done; mend these, then "
            f"run again: what is done is not done twice\n{listed}"
        )
