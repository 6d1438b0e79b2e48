"""Two checkpoints of the registry held against each other: which audits they share, and what these say."""

from pathlib import Path

from pydantic import Field

from clir_core.errors import SpecError
from clir_core.measure.compare import compare_audits
from clir_core.measure.gate import Decision, decide, outcome
from clir_core.measure.gate_spec import Outcome
from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.facts import Audited, Entry
from clir_core.registry.registry import Registry
from clir_core.spec import Spec


class Compared(Spec):
    """What became better or worse."""

    before: str
    after: str
    corpus: str
    audits: tuple[Path, Path]
    outcome: Outcome
    decision: Decision = Field(description="What a gate would decide, and the differences that it rests on")


def compare_checkpoints(spec: CompareSpec) -> Compared:
    """Compare the newest audits that asked both checkpoints the same."""
    registry = Registry(spec.workspace)
    after = registry.find(spec.after) if spec.after else _newest(registry)
    before = registry.find(spec.before) if spec.before else _predecessor(registry, after)
    old, new = _asked_both(before, after)
    assert old.out and new.out
    comparison = compare_audits(old.out, new.out)
    return Compared(
        before=before.name,
        after=after.name,
        corpus=new.corpus,
        audits=(old.out, new.out),
        outcome=outcome(comparison, spec.gate),
        decision=decide(comparison, spec.gate),
    )


def _newest(registry: Registry) -> Entry:
    # a failed audit has nothing to compare
    newest = registry.last_told(Audited, [entry for entry in registry.entries() if _done(entry)])
    if newest is None:
        raise SpecError(f"{registry.directory}: nothing was audited yet; run `clir audit` or the nightly first")
    return newest


def _done(entry: Entry) -> list[Audited]:
    return [one for one in entry.audits if one.out]


def _predecessor(registry: Registry, after: Entry) -> Entry:
    if after.found.parent and (parent := registry.get(after.found.parent)):
        return parent
    family = [one for one in registry.entries() if one.found.family == after.found.family and one.since < after.since]
    if not family:
        raise SpecError(f"{after.name} is the first of the family {after.found.family}; say what to hold it against")
    # a neighbour whose audit failed has nothing to say
    return next((one for one in reversed(family) if _shared(one, after)), family[-1])


def _shared(before: Entry, after: Entry) -> tuple[Audited, Audited] | None:
    pairs = ((before.audit(one.asked), after.audit(one.asked)) for one in reversed(after.audits))
    return next(((old, new) for old, new in pairs if old and new), None)


def _asked_both(before: Entry, after: Entry) -> tuple[Audited, Audited]:
    if shared := _shared(before, after):
        return shared
    asked = [
        f"{entry.name} on {', '.join(sorted({one.corpus for one in entry.audits})) or 'nothing'}"
        for entry in (before, after)
    ]
    raise SpecError(
        f"no audit asked both the same ({'; '.join(asked)}); audit them with the same corpus, languages and options, "
        "as the nightly run does"
    )
