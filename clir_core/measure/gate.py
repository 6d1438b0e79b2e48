"""The gate: whether a trained checkpoint takes its base's place, decided from the paired differences, in sentences.

rejected   monolingual acc@1 or ndcg@10 falls by more than the margin in any language, English included, as measured
           (point estimate); or the primary metric gets worse beyond chance in any gate language, or better in none.
candidate  the primary metric improves beyond chance somewhere, but not in every gate language and for both query sides;
           or it does, but a loss above the margin cannot be excluded: an interval's low end lies below -margin.
promoted   improved beyond chance everywhere (p after Holm < 0.05), every interval's low end at or above -margin.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import Field

from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import ENGLISH
from clir_core.errors import SpecError
from clir_core.measure.compare import Difference
from clir_core.measure.gate_spec import GateSpec, Outcome, Status
from clir_core.measure.metrics import catalogue, metric_better
from clir_core.scenarios import every_scenario, mono, scenario_named
from clir_core.scenarios.metric import Better
from clir_core.spec import Spec

LEVEL = 0.05
SIGNS: Mapping[Better | None, int] = {"higher": 1, "lower": -1}
MONO = ("acc@1", "ndcg@10")
R = TypeVar("R", Difference, MetricRow)
_EXACT = 1e-9  # 0.90 - 0.91 is a little more than 0.01 in floating point
_SHOWN = 6


class Decision(Spec):
    """What becomes of a checkpoint, why, and the differences it rests on."""

    status: Status
    reason: str = Field(description="Sentences that name languages and figures")
    primary: tuple[Difference, ...] = Field(description="The primary metric in every gate language, both query sides")
    mono: tuple[Difference, ...] = Field(description="Monolingual acc@1 and ndcg@10 of every language")


def decide(differences: Sequence[Difference], gate: GateSpec) -> Decision:
    """Hold the differences of two audits against the gate."""
    sign = direction(gate.metric)
    primary = _primary(differences, gate)
    cost = _mono(differences, [row.lang for row in primary])
    better = [row for row in primary if row.p_holm < LEVEL and sign * row.difference > 0]
    worse = [row for row in primary if row.p_holm < LEVEL and sign * row.difference < 0]
    even = [row for row in primary if row not in better and row not in worse]
    worst_first = sorted(cost, key=lambda row: row.difference)
    lost = [row for row in worst_first if row.difference < -gate.margin - _EXACT]
    unproven = [row for row in worst_first if row.low < -gate.margin - _EXACT]
    name, margin = f"{gate.metric} in {gate.scenario}", f"{gate.margin:.3f}"
    gained = f"{name} improves beyond chance for {_listed(better, _change)}"
    status: Status
    if lost:
        status, reason = "rejected", [f"monolingual retrieval loses more than {margin}: {_listed(lost, _mono_change)}"]
        reason += [gained] if better else [f"{name} improves beyond chance in no gate language"]
    elif worse:
        status, reason = "rejected", [f"{name} gets worse beyond chance for {_listed(worse, _change)}"]
        reason += [gained] if better else []
    elif not better:
        status, reason = "rejected", [f"{name} improves beyond chance in no gate language: {_listed(even, _change)}"]
    elif even or unproven:
        status, reason = "candidate", [gained]
        reason += [f"not beyond chance for {_listed(even, _change)}"] if even else []
        doubt = f"a monolingual loss of more than {margin} cannot be excluded: {_listed(unproven, _mono_change)}"
        reason += [doubt] if unproven else [_kept(cost, margin)]
    else:
        status, reason = "promoted", [gained, _kept(cost, margin)]
    sentences = " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in reason)
    return Decision(status=status, reason=sentences, primary=tuple(primary), mono=tuple(cost))


def outcome(differences: Sequence[Difference], gate: GateSpec) -> Outcome:
    """What became better or worse beyond chance; a monolingual loss counts from the margin on."""
    sign = direction(gate.metric)
    primary = _primary(differences, gate)
    cost = _mono(differences, [row.lang for row in primary])
    moved = [sign * row.difference for row in primary if row.p_holm < LEVEL]
    lost = any(row.high < 0 and row.difference < -gate.margin - _EXACT for row in cost)
    if lost or any(change < 0 for change in moved):
        return "regressed"
    return "improved" if any(change > 0 for change in moved) else "unchanged"


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


def check_measured(gate: GateSpec, rows: Sequence[MetricRow]) -> None:
    """SpecError where the audit of the base lacks a figure that the gate rests on: the other audit will as well."""
    _mono(rows, [row.lang for row in _primary(rows, gate)])


def direction(metric: str) -> int:
    """1 where higher is better, -1 where lower is; SpecError where neither is."""
    if sign := SIGNS.get(metric_better(metric)):
        return sign
    known = [name for better in SIGNS for name, other in catalogue((10,)).items() if other.better == better]
    raise SpecError(
        f"gate: {metric} cannot be the primary metric, as neither more nor less of it is simply better; choose one of "
        f"{', '.join(known)}"
    )


def _primary(differences: Sequence[R], gate: GateSpec) -> list[R]:
    found = {
        (row.lang, row.query_lang == ENGLISH): row
        for row in differences
        if (row.scenario, row.metric) == (gate.scenario, gate.metric)
    }
    languages = gate.languages or tuple(sorted({lang for lang, _ in found if lang not in (None, ENGLISH)}))
    sides = (False, True) if scenario_named(gate.scenario).two_sided else (False,)
    wanted = [(lang, english) for lang in languages for english in sides]
    lacking = [f"{ENGLISH if english else lang}/{lang}" for lang, english in wanted if (lang, english) not in found]
    if lacking or not wanted:
        raise SpecError(
            f"gate: the audits have no {gate.metric} in {gate.scenario} for {', '.join(lacking) or 'any language'} "
            "(query language/language); audit that scenario, cutoff and language, or set the gate's metric, scenario "
            "and languages to what the audits hold"
        )
    return [found[key] for key in wanted]


def _mono(differences: Sequence[R], gated: Sequence[str | None]) -> list[R]:
    """Every language that was audited, also those that were not trained."""
    rows = [row for row in differences if row.scenario == mono.NAME and row.metric in MONO]
    there = {(row.lang, row.metric) for row in rows}
    wanted = [(lang, metric) for lang in dict.fromkeys((ENGLISH, *gated)) for metric in MONO]
    lacking = [f"{metric} of {lang}" for lang, metric in wanted if (lang, metric) not in there]
    if lacking:
        raise SpecError(
            f"gate: the audits have no monolingual {', '.join(lacking)}, so nothing says what the training cost; audit "
            "with scenario mono and cutoff 10, or leave languages without queries of their own out of the gate"
        )
    return rows


def _kept(cost: Sequence[Difference], margin: str) -> str:
    worst = min(cost, key=lambda row: row.low)
    return (
        f"monolingual acc@1 and ndcg@10 lose no more than {margin} in any language, intervals included; nearest is "
        f"{_mono_change(worst)}"
    )


def _listed(rows: Sequence[Difference], written: Callable[[Difference], str]) -> str:
    more = [f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return "; ".join([*(written(row) for row in rows[:_SHOWN]), *more])


def _change(row: Difference) -> str:
    """'Thai queries 0.380 to 0.898 (+0.518, p < 0.001)'."""
    lang = language_name(str(row.lang))
    asked = f"English queries beside {lang}" if row.query_lang == ENGLISH else f"{lang} queries"
    p = "p < 0.001" if row.p_holm < 0.001 else f"p = {row.p_holm:.3f}"
    return f"{asked} {row.before:.3f} to {row.after:.3f} ({row.difference:+.3f}, {p})"


def _mono_change(row: Difference) -> str:
    """'acc@1 in Thai 0.903 to 0.817 (-0.086, interval -0.110 to -0.061, 1,190 queries)'."""
    change = f"{row.difference:+.3f}, interval {row.low:+.3f} to {row.high:+.3f}, {row.n:,} queries"
    return f"{row.metric} in {language_name(str(row.lang))} {row.before:.3f} to {row.after:.3f} ({change})"
