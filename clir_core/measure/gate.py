"""The gate: whether a trained checkpoint takes its base's place, and what became of one over night.

It asks three questions of the paired differences, with the intervals of `interval` over clusters of queries:

rejected   Is a loss beyond the margin shown? One-sided tests of every language's monolingual acc@1 and ndcg@10, the
           pivot included, and of the primary metric in every gate language and query side (beyond the margin for rates,
           any loss for other units), all together corrected by Holm at .05: of the checkpoints that lost no more than
           that in any language, at most 5 % are rejected.
promoted   Is a gain shown, and a loss excluded? The primary metric improves on average over the gate's languages and
           query sides (two-sided p < .05: at most 2.5 % of those that gain nothing), and of monolingual acc@1 and of
           ndcg@10, each on average over languages, the 95 % interval ends above -margin (at most 2.5 % of those that
           lose more than it); and no loss is shown in any language.
candidate  Else. The reason says what is missing.

A night asks the first question with the same tests: at most 5 % of the checkpoints that did not change are `regressed`.
docs/statistics.md has the simulated rates; tests/studies/gate.py makes them.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import Field

from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.pivot import ENGLISH
from clir_core.errors import SpecError
from clir_core.measure.compare import Comparison, Difference
from clir_core.measure.evidence import Average, Evidence, gather
from clir_core.measure.gate_spec import GateSpec, Outcome, Status
from clir_core.measure.metrics import catalogue, metric_better
from clir_core.measure.reasons import reasons
from clir_core.scenarios import every_scenario, mono, scenario_named
from clir_core.scenarios.metric import Better
from clir_core.spec import Spec

SIGNS: Mapping[Better | None, int] = {"higher": 1, "lower": -1}
MONO = ("acc@1", "ndcg@10")
R = TypeVar("R", Difference, MetricRow)


class Decision(Spec):
    """What becomes of a checkpoint, why, and the differences it rests on."""

    status: Status
    reason: str = Field(description="Sentences that name languages and figures")
    primary: tuple[Difference, ...] = Field(description="The primary metric in every gate language, both query sides")
    mono: tuple[Difference, ...] = Field(description="Monolingual acc@1 and ndcg@10 of every language")
    lost: tuple[Difference, ...] = Field((), description="Those of both in which a loss beyond the margin is shown")
    gained: tuple[Difference, ...] = Field((), description="The primary ones in which a gain is shown, after Holm")
    gain: Average | None = Field(None, description="Of the primary metric, on average; null in older results")
    cost: tuple[Average, ...] = Field((), description="Of acc@1 and of ndcg@10, on average over languages")
    needed: int | None = Field(
        None, description="Questions that would exclude a loss beyond the margin; null where more would not help"
    )


def decide(comparison: Comparison, gate: GateSpec) -> Decision:
    """Hold the differences of two audits against the gate."""
    primary, cost, found = _evidence(comparison, gate)
    status: Status = "rejected" if found.lost else "promoted" if found.is_better and found.is_cheap else "candidate"
    return Decision(
        status=status,
        reason=reasons(found, gate),
        primary=tuple(primary),
        mono=tuple(cost),
        lost=found.lost,
        gained=found.gained,
        gain=found.gain,
        cost=found.cost,
        needed=found.needed,
    )


def outcome(comparison: Comparison, gate: GateSpec) -> Outcome:
    """What is shown to be worse, or better, on average or somewhere."""
    _, _, found = _evidence(comparison, gate)
    return "regressed" if found.lost else "improved" if found.is_better or found.gained else "unchanged"


def check(gate: GateSpec) -> None:
    """SpecError where no audit could answer the gate: worth knowing before the training."""
    if not scenario_named(gate.scenario).can_gate:
        known = ", ".join(scenario.name for scenario in every_scenario() if scenario.can_gate)
        raise SpecError(f"gate: {gate.scenario} has no single pool a language to improve in; choose {known}")
    direction(gate.metric)


def check_asked(gate: GateSpec, audit: AuditSpec) -> None:
    """SpecError where audits of this spec have no figure for the gate."""
    # acc@1 is always there
    cutoffs = {metric.partition("@")[2] for metric in {gate.metric, *MONO} - {"acc@1"} if "@" in metric}
    lacking = [f"scenario {one}" for one in sorted({gate.scenario, mono.NAME} - set(audit.scenarios))]
    lacking += [f"cutoff {one}" for one in sorted(cutoffs - set(map(str, audit.cutoffs)))]
    lacking += [f"language {one}" for one in gate.languages if audit.languages and one not in audit.languages]
    if lacking:
        raise SpecError(
            f"gate: {gate.metric} in {gate.scenario} and what it may cost need {', '.join(lacking)}, which the audits "
            "leave out; add it to them, or set another gate"
        )


def check_measured(gate: GateSpec, rows: Sequence[MetricRow], pivot: str = ENGLISH) -> None:
    """SpecError where the audit of the base lacks a figure that the gate rests on: the other audit will as well."""
    _mono(rows, [row.lang for row in _primary(rows, gate, pivot)], pivot)


def direction(metric: str) -> int:
    """1 where higher is better, -1 where lower is; SpecError where neither is."""
    if sign := SIGNS.get(metric_better(metric)):
        return sign
    known = [name for better in SIGNS for name, other in catalogue((10,)).items() if other.better == better]
    raise SpecError(
        f"gate: {metric} cannot be the primary metric, as neither more nor less of it is simply better; choose one of "
        f"{', '.join(known)}"
    )


def _evidence(comparison: Comparison, gate: GateSpec) -> tuple[list[Difference], list[Difference], Evidence]:
    primary = _primary(comparison.differences, gate, comparison.pivot)
    cost = _mono(comparison.differences, [row.lang for row in primary], comparison.pivot)
    return primary, cost, gather(comparison, primary, cost, direction(gate.metric), gate.margin)


def _primary(differences: Sequence[R], gate: GateSpec, pivot: str) -> list[R]:
    found = {
        (row.lang, row.query_lang == pivot): row
        for row in differences
        if (row.scenario, row.metric) == (gate.scenario, gate.metric)
    }
    languages = gate.languages or tuple(sorted({lang for lang, _ in found if lang not in (None, pivot)}))
    sides = (False, True) if scenario_named(gate.scenario).two_sided else (False,)
    wanted = [(lang, of_pivot) for lang in languages for of_pivot in sides]
    lacking = [f"{pivot if of_pivot else lang}/{lang}" for lang, of_pivot in wanted if (lang, of_pivot) not in found]
    if lacking or not wanted:
        raise SpecError(
            f"gate: the audits have no {gate.metric} in {gate.scenario} for {', '.join(lacking) or 'any language'} "
            "(query language/language); audit that scenario, cutoff and language, or set the gate's metric, scenario "
            "and languages to what the audits hold"
        )
    return [found[key] for key in wanted]


def _mono(differences: Sequence[R], gated: Sequence[str | None], pivot: str) -> list[R]:
    """Every language that was audited, also those that were not trained."""
    rows = [row for row in differences if row.scenario == mono.NAME and row.metric in MONO]
    there = {(row.lang, row.metric) for row in rows}
    wanted = [(lang, metric) for lang in dict.fromkeys((pivot, *gated)) for metric in MONO]
    lacking = [f"{metric} of {lang}" for lang, metric in wanted if (lang, metric) not in there]
    if lacking:
        raise SpecError(
            f"gate: the audits have no monolingual {', '.join(lacking)}, so nothing says what the training cost; audit "
            "with scenario mono and cutoff 10, or leave languages without queries of their own out of the gate"
        )
    return rows
