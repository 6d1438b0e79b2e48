"""Why a gate decides as it does: sentences that name languages and figures, with the questions that these rest on."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from clir_core.corpus.lang import language_name
from clir_core.measure.compare import Difference
from clir_core.measure.evidence import Average, Evidence
from clir_core.measure.figures import p_value
from clir_core.measure.gate_spec import GateSpec
from clir_core.measure.power import asked_in, rounded
from clir_core.scenarios import mono, scenario_named

_SHOWN = 6


def reasons(found: Evidence, gate: GateSpec) -> str:
    """First what was lost, then what was gained, then what it cost on average, or what is missing to say so."""
    sentences = list(_losses(found, gate))
    # of a primary metric that is shown to fall, no more has to be said than where it does rise
    if found.is_better or found.gained or all(_is_mono(row) for row in found.lost):
        sentences.append(_gain(found, gate))
    if not found.lost:
        sentences.append(_cost(found, gate))
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _losses(found: Evidence, gate: GateSpec) -> Iterator[str]:
    lost = found.lost
    costs = sorted((row for row in lost if _is_mono(row)), key=lambda row: row.difference)
    worse = [row for row in lost if not _is_mono(row)]
    if costs:
        yield f"monolingual retrieval loses more than {gate.margin:.3f}, beyond chance: {_listed(costs, _mono_change)}"
    if worse:
        margin = f" by more than {gate.margin:.3f}," if worse[0].unit == "rate" else ""
        where = _listed(worse, partial(_change, pivot=found.pivot))
        yield f"{_name(gate)} gets worse{margin} beyond chance, for {where}"


def _gain(found: Evidence, gate: GateSpec) -> str:
    sides = ", both query sides" if scenario_named(gate.scenario).two_sided else ""
    over = f"on average over {_languages(found.gain.languages)}{sides}"
    if found.is_better:
        return f"{_name(gate)} improves beyond chance {over}: {_mean(found.gain, p=True)}"
    if found.gained:
        shown = f"it is for {_listed(found.gained, partial(_change, pivot=found.pivot))}"
        return f"{_name(gate)} is not shown to improve {over}: {_mean(found.gain, p=True)}; {shown}"
    return f"{_name(gate)} is not shown to improve {over}, nor in any of them: {_mean(found.gain, p=True)}"


def _cost(found: Evidence, gate: GateSpec) -> str:
    over = f"on average over {_languages(found.cost[0].languages)}"
    loss = f"a monolingual loss of more than {gate.margin:.3f}"
    figures = "; ".join(f"{cost.metric} {_mean(cost)}" for cost in found.cost)
    if found.is_cheap:
        return f"{loss} is excluded {over} and shown in none of them: {figures}"
    if not found.needed:
        return f"{loss} is not excluded {over}: {figures}"
    have = max(cost.n for cost in found.cost)
    return (
        f"{loss} is shown in no language, but not excluded {over}: {figures}. Excluding a loss of {gate.margin:.3f} "
        f"needs about {rounded(found.needed)} questions; you have {have:,}"
    )


def _is_mono(row: Difference) -> bool:
    return row.scenario == mono.NAME


def _name(gate: GateSpec) -> str:
    return f"{gate.metric} in {gate.scenario}"


def _languages(languages: Sequence[str]) -> str:
    """'German and Chinese', or their number."""
    if len(languages) > _SHOWN:
        return f"{len(languages)} languages"
    *first, last = map(language_name, languages)
    return f"{', '.join(first)} and {last}" if first else last


def _mean(mean: Average, p: bool = False) -> str:
    """'+0.300 (interval +0.250 to +0.350, p < 0.001, 432 questions in 144 groups)'."""
    chance = f"{_p(mean.p)}, " if p else ""
    questions = asked_in(mean.n, mean.clusters)
    return f"{mean.difference:+.3f} (interval {mean.low:+.3f} to {mean.high:+.3f}, {chance}{questions})"


def _listed(rows: Sequence[Difference], written: Callable[[Difference], str]) -> str:
    more = [f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return "; ".join([*(written(row) for row in rows[:_SHOWN]), *more])


def _change(row: Difference, pivot: str) -> str:
    """'Thai queries 0.380 to 0.898 (+0.518, interval +0.480 to +0.556, 1,190 questions)'."""
    lang = language_name(str(row.lang))
    asked = f"{language_name(pivot)} queries beside {lang}" if row.query_lang == pivot else f"{lang} queries"
    return f"{asked} {_moved(row)}"


def _mono_change(row: Difference) -> str:
    """'acc@1 in Thai 0.903 to 0.817 (-0.086, interval -0.110 to -0.061, 1,190 questions in 240 groups)'."""
    return f"{row.metric} in {language_name(str(row.lang))} {_moved(row)}"


def _moved(row: Difference) -> str:
    change = f"{row.difference:+.3f}, interval {row.low:+.3f} to {row.high:+.3f}, {asked_in(row.n, row.clusters)}"
    return f"{row.before:.3f} to {row.after:.3f} ({change})"


def _p(p: float) -> str:
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"
