"""The nightly run: what it is asked, which audits are due, and what it says in the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from clir_core.audit.spec import AuditSpec, RuntimeSpec
from clir_core.measure.gate_spec import Outcome
from clir_core.registry.discovery import Problem
from clir_core.registry.facts import Entry
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList
from clir_core.shown import as_code, in_markdown
from clir_core.spec import WORKSPACE, Place, Spec, Told
from clir_core.workspace import layout

WATCH_LIST = Path("deployments/watch.yaml")


class NightlySpec(Spec):
    """Which watch list to go through, and where."""

    watch: Place = Field(WATCH_LIST, description="The watch list, a YAML file")
    runtime: RuntimeSpec = RuntimeSpec()
    workspace: Place = Field(WORKSPACE, description="Where vectors, results and the registry are kept")


class Due(Spec):
    """An audit that is missing. `baseline` is the fingerprint of the checkpoint to hold it against."""

    checkpoint: str = Field(description="Fingerprint")
    name: str
    baseline: str | None
    audit: AuditSpec


class Judged(Spec):
    """What came of an audit."""

    checkpoint: str
    name: str
    family: str
    outcome: Outcome
    reason: Told = Field(description="Of the outcome, in sentences; of a failure, its message")
    out: Path | None = Field(None, description="The audit's directory; null where it failed")
    offer: Told = Field("", description="What a correction would make of it at once, where it regressed")


class NightlySummary(Spec):
    """What the flow returns, and what its artifact says."""

    judged: tuple[Judged, ...]
    known: int = Field(description="Checkpoints that had their audit before")
    waiting: tuple[Problem, ...]
    problems: tuple[Problem, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """What did not work, a sentence each."""
        audits = [f"{one.name}: {one.reason}" for one in self.judged if one.outcome == "failed"]
        return (*audits, *(f"{one.place}: {one.reason}" for one in self.problems))


def due_audits(
    spec: NightlySpec, watch: WatchList, seen: Sequence[str], baselines: Mapping[str, str], asked: str
) -> tuple[Due, ...]:
    """The audits that the registry lacks, those that others are held against first.

    `seen` are fingerprints of the checkpoints that are there, `baselines` those of families; all are registered.
    """
    registry = Registry(spec.workspace)
    entries = {entry.checkpoint: entry for entry in registry.entries()}
    promoted = {family: registry.promoted(family) for family in {entries[one].found.family for one in seen}}
    # against whom: settled before anything is judged, so that the order of the list changes nothing
    against = {one: baseline_of(registry, entries[one], promoted, baselines, asked) for one in seen}
    missing = [one for one in dict.fromkeys(seen) if _lacks(entries[one], against[one], asked)]
    unmeasured = [base for one in missing if (base := against[one]) and not entries[base].audit(asked)]
    # a chain of unmeasured parents: each before its children
    wanted = sorted(dict.fromkeys([*unmeasured, *missing]), key=lambda one: (one not in unmeasured, entries[one].since))
    return tuple(
        Due(
            checkpoint=one,
            name=entries[one].name,
            baseline=against.get(one),
            audit=watch.audit.model_copy(
                update={"model": entries[one].found.ref, "workspace": spec.workspace, "runtime": spec.runtime}
            ),
        )
        for one in wanted
    )


def _lacks(entry: Entry, baseline: str | None, asked: str) -> bool:
    """No audit, or one that nobody held against the baseline yet: asked for by hand, or cut off before that."""
    audit = entry.audit(asked)
    return not audit or (audit.outcome == "measured" and baseline is not None)


def baseline_of(
    registry: Registry, entry: Entry, promoted: Mapping[str, Entry | None], baselines: Mapping[str, str], asked: str
) -> str | None:
    """Its parent, else the promoted checkpoint of its family, else the family's baseline; never itself.

    One that was never audited and is gone cannot be.
    """
    family = entry.found.family
    parent, baseline = (one and registry.get(one) for one in (entry.found.parent, baselines.get(family)))
    others = (one for one in (parent, promoted.get(family), baseline) if one and one.checkpoint != entry.checkpoint)
    return next((other.checkpoint for other in others if other.audit(asked) or other.is_there()), None)


def as_markdown(summary: NightlySummary) -> str:
    """The summary as one page: what changed first, what failed, what waits. Long texts stay out of its table."""
    counts = {name: sum(one.outcome == name for one in summary.judged) for name in ("regressed", "improved", "failed")}
    told = [f"{len(summary.judged)} audited", *(f"{count} {name}" for name, count in counts.items() if count)]
    before = [f"{summary.known} known before"]
    before += [f"{len(summary.waiting)} not complete yet"] if summary.waiting else []
    before += [f"{len(summary.problems)} out of reach"] if summary.problems else []
    judged = sorted(summary.judged, key=lambda one: (ORDER.index(one.outcome), one.family, one.name))
    rows = [f"| {in_markdown(one.family)} | {in_markdown(one.name)} | **{one.outcome}** |" for one in judged]
    table = ["| family | checkpoint | outcome |", "|---|---|---|", *rows] if rows else []
    lists = [
        [f"### {title}", *(f"- {as_code(one.place)}: {in_markdown(one.reason)}" for one in found)]
        for title, found in (("Not complete yet", summary.waiting), ("Out of reach", summary.problems))
        if found
    ]
    head = [f"## {', '.join(told)}; {', '.join(before)}"]
    return "\n\n".join("\n".join(part) for part in (head, table, *map(_section, judged), *lists) if part)


ORDER: tuple[Outcome, ...] = ("failed", "regressed", "improved", "unchanged", "measured")


def _section(judged: Judged) -> list[str]:
    report = [f"\nReport: {as_code(str(judged.out / layout.REPORT))}"] if judged.out else []
    offer = [f"\n{in_markdown(judged.offer)}"] if judged.offer else []
    return [f"### {in_markdown(judged.name)}: {judged.outcome}", in_markdown(judged.reason), *offer, *report]
