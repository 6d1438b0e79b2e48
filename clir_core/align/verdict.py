"""The verdict of an alignment run in sentences: what was gained and what it cost, every language, the decision."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from clir_core.audit.holm import LEVEL
from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH, pivot_first
from clir_core.measure.compare import Difference
from clir_core.measure.figures import number, signed
from clir_core.measure.gate import Decision, direction
from clir_core.measure.gate_spec import GateSpec
from clir_core.scenarios import scenario_named
from clir_core.scenarios.mono import NAME as MONO

COST = "acc@1"


def verdict(
    differences: Sequence[Difference], gate: GateSpec, trained: Mapping[str, int], decision: Decision
) -> tuple[str, ...]:
    """The answer first, then a sentence for English and every other audited language, then what became of it.

    `trained` is the triples of each language; the others are said to be untrained.
    """
    primary = [
        row
        for row in differences
        if (row.scenario, row.metric) == (gate.scenario, gate.metric) and row.query_lang is not None
    ]
    mono = {str(row.lang): row for row in differences if (row.scenario, row.metric) == (MONO, COST)}
    others = {str(row.lang) for row in primary} | set(mono)
    found = [_answer(primary, mono, trained, gate, decision)]
    for lang in pivot_first(others, then=trained):
        found.append(_of_language(lang, [row for row in primary if row.lang == lang], mono.get(lang), trained))
    return (*found, f"{decision.status.capitalize()}: {decision.reason}")


def _answer(
    primary: Sequence[Difference],
    mono: Mapping[str, Difference],
    trained: Mapping[str, int],
    gate: GateSpec,
    decision: Decision,
) -> str:
    """The gain that the gate decides by, on average over its languages and query sides, and the cost."""
    gated = {row.lang for row in decision.primary}
    unseen = [row for row in primary if row.lang not in gated and row.lang not in trained]
    gained = f"In {scenario_named(gate.scenario).beside(ENGLISH).title}, {gate.metric} {_moved(decision, gate)}"
    if unseen:
        gained += f", and {_from_to(unseen)} in {len({row.lang for row in unseen})} not trained"
    return f"{gained}; {_cost(mono)}."


def _moved(decision: Decision, gate: GateSpec) -> str:
    """'improves from 0.300 to 0.850 (mean of 2 languages, both query sides)'."""
    gain, over = decision.gain, _mean_of(decision.primary)
    before, after = (number(gate.metric, mean) for mean in _means(decision.primary))
    if before == after:
        return f"stays at {after} ({over})"
    if gain is None:  # a decision of before, which rested on no average
        return f"moves from {before} to {after} ({over})"
    verb = "improves" if gain.difference * direction(gate.metric) > 0 else "gets worse"
    chance = "" if gain.p < LEVEL else ", not beyond chance on average"
    return f"{verb} from {before} to {after} ({over}{chance})"


def _means(rows: Sequence[Difference]) -> tuple[float, float]:
    return fmean(row.before for row in rows), fmean(row.after for row in rows)


def _from_to(rows: Sequence[Difference]) -> str:
    before, after = (number(rows[0].metric, mean) for mean in _means(rows))
    return f"from {before} to {after}"


def _mean_of(primary: Sequence[Difference]) -> str:
    """'mean of 5 languages, both query sides'."""
    languages = sorted({str(row.lang) for row in primary})
    sides = "both query sides" if any(row.query_lang != row.lang for row in primary) else ""
    if len(languages) > 1:
        return ", ".join(filter(None, (f"mean of {len(languages)} languages", sides)))
    return ", mean of ".join(filter(None, (language_name(languages[0]), sides)))


def _cost(mono: Mapping[str, Difference]) -> str:
    """What monolingual retrieval paid: on average, where most, and in English."""
    worst = min(mono.values(), key=lambda row: row.difference)
    mean = fmean(row.difference for row in mono.values())
    if not any(row.difference for row in mono.values()):
        return f"monolingual {COST} stays as it was in every language"
    moved = f"{'rises' if mean > 0 else 'falls'} by {number(COST, abs(mean))}" if mean else "stays"
    where = "least" if worst.difference >= 0 else "most" if mean < 0 else "but falls"
    said = f"monolingual {COST} {moved} on average, {where} in {language_name(str(worst.lang))} ({_figures(worst)})"
    return said if worst.lang == ENGLISH or ENGLISH not in mono else f"{said}, in English {_figures(mono[ENGLISH])}"


def _of_language(lang: str, primary: Sequence[Difference], cost: Difference | None, trained: Mapping[str, int]) -> str:
    name = language_name(lang)
    parts = list(_gains(lang, primary))
    if cost is not None:
        span = f"{signed(COST, cost.low)} to {signed(COST, cost.high)}"
        parts.append(f"monolingual {COST} {_figures(cost)}, {signed(COST, cost.difference)} ({span})")
    label = name if lang == ENGLISH or lang in trained else f"{name} (not trained)"
    return f"{label}: {'; '.join(parts)}."


def _gains(lang: str, primary: Sequence[Difference]) -> Iterator[str]:
    for row in sorted(primary, key=lambda row: row.query_lang != lang):
        asked = f" of {language_name(str(row.query_lang))} queries" if len(primary) > 1 else ""
        chance = "beyond chance" if row.p_holm < LEVEL else "not beyond chance"
        yield f"{row.metric}{asked} {_figures(row)} ({chance})"


def _figures(row: Difference) -> str:
    return f"{number(row.metric, row.before)} to {number(row.metric, row.after)}"
