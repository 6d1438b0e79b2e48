"""The verdict in words: a headline that says what is worst, where and how badly, and a sentence or two a language.

Every sentence comes from a claim; nothing is decided here. Pages, terminals, cards and histories take these sentences.
"""

from collections.abc import Sequence

from clir_core.audit.claim import CLEAR, FEW_CLUSTERS, INCLINATIONS, SEVERE, Claim, ClaimName, Side
from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH

_SHOWN = 4
# of those whose title names no language
TITLES: dict[ClaimName, str] = {
    "own_language_inclination": "own-language inclination",
    "other_language_inclination": "other-language inclination",
    "none_found": "no inclination found",
    "cannot_say": "cannot say",
    "cannot_retrieve": "cannot retrieve",
}


def verdict(claims: Sequence[Claim], model: str, pivot: str = ENGLISH) -> tuple[str, ...]:
    """The headline first, then what is said of each language. `claims` come worst first."""
    return (headline(claims, model, pivot), *map(sentence, claims))


def headline(claims: Sequence[Claim], model: str, pivot: str = ENGLISH) -> str:
    """What is worst, where, and how badly; then what cannot be said."""
    inclined = [claim for claim in claims if claim.is_inclination]
    parts = [_inclined(inclined)] if inclined else []
    rest = [
        ("cannot_retrieve", "it cannot retrieve in"),
        ("cannot_say", "cannot say for"),
        ("none_found", "none found in"),
    ]
    for name, said in rest:
        langs = [claim.language for claim in claims if claim.claim == name]
        if langs:
            said = "no inclination found in" if name == "none_found" and not inclined else said
            parts.append(f"{said} {_names(langs)}")
    if not claims:
        parts = [f"no language beside {language_name(pivot)} to compare it with"]
    return f"{model}: {'; '.join(parts)}."


def _inclined(claims: Sequence[Claim]) -> str:
    kinds = [[one for one in claims if one.claim == name] for name in INCLINATIONS]
    kinds = sorted(filter(None, kinds), key=lambda kind: -abs(kind[0].size or 0))
    worst = f"worst in {language_name(claims[0].language)}, where " if len(claims) > 1 else ""
    return f"{', '.join(map(_of_kind, kinds))}: {worst}{_suffers(claims[0])}"


def _of_kind(claims: Sequence[Claim]) -> str:
    """'severe English inclination in Thai, slight in German and French': no language is called worse than it is."""
    found: dict[str, list[str]] = {}
    for claim in claims:
        found.setdefault(severity(claim), []).append(claim.language)
    (worst, langs), *rest = found.items()
    if claims[0].claim == "x_inclination":
        said, by = f"{worst} inclination to {_names(langs)} over {language_name(claims[0].pivot)}", "to"
    else:
        said, by = f"{worst} {title(claims[0])} in {_names(langs)}", "in"
    return ", ".join([said, *(f"{word} {by} {_names(langs)}" for word, langs in rest)])


def title(claim: Claim) -> str:
    """What a claim is called."""
    winner = {"x_inclination": claim.language}.get(claim.claim, claim.pivot)
    return TITLES.get(claim.claim) or f"{language_name(winner)} inclination"


def named(claim: Claim) -> str:
    """A claim in a word or two, with how badly: 'severe English inclination', 'cannot say'."""
    return f"{severity(claim)} {title(claim)}".strip()


def severity(claim: Claim) -> str:
    """How badly, in a word; empty where nobody wins."""
    size = abs(claim.size or 0)
    if not claim.is_inclination:
        return ""
    return "slight" if size < CLEAR else "clear" if size < SEVERE else "severe"


def sentence(claim: Claim) -> str:
    """What is said of one language."""
    name = language_name(claim.language)
    if claim.claim == "cannot_retrieve":
        return f"{name}: cannot retrieve. {claim.reason}; nothing is said of preference."
    lead = f"{name}: {named(claim)}{', ' if claim.reason else ''}{claim.reason}"
    return " ".join([f"{lead}.", *(_of_side(side, claim) for side in claim.sides)])


def _suffers(claim: Claim) -> str:
    """'a net 31 % of the Thai queries (25 % to 37 %) put more unrelated English documents above ...'."""
    side = claim.telling
    assert side, claim
    winner = language_name(claim.pivot if side.wins_pivot else claim.language)
    return f"{_net(side)} put more unrelated {winner} documents above a relevant one than chance would"


def _net(side: Side) -> str:
    low, high = sorted((abs(side.low), abs(side.high))) if side.low * side.high > 0 else (0.0, abs(side.high))
    asked = language_name(side.query_lang)
    return f"a net {percent(abs(side.size))} of the {asked} queries ({percent(low)} to {percent(high)})"


def _of_side(side: Side, claim: Claim) -> str:
    name, pivot = language_name(claim.language), language_name(claim.pivot)
    asked = f"{language_name(side.query_lang)} queries"
    toward = f" toward {pivot if side.size > 0 else name}" if side.size else ""
    # a query's own language may win where only its documents are relevant
    harmless = f", which buries nothing: only {name} is relevant there" if _is_own(side) else ""
    net = (
        f"{asked}: net {percent(abs(side.size))}{toward} ({signed(side.low)} to {signed(side.high)}, "
        f"{_counted(side)}){harmless}"
    )
    parts = [net]
    if side.english_first is not None and side.x_first is not None:
        first = f"an unrelated {pivot} document comes first for {percent(side.english_first)}"
        parts.append(f"{first}, an unrelated {name} one for {percent(side.x_first)}")
    if side.complete is not None:
        parts.append(f"all relevant versions are among the first {side.k} for {percent(side.complete)}")
    return f"{'; '.join(parts)}."


def _is_own(side: Side) -> bool:
    return side.scenario == "distractor" and side.high < 0


def _counted(side: Side) -> str:
    """'72 queries', and where they were sampled together, or are few, in how many clusters."""
    queries = "1 query" if side.n == 1 else f"{side.n:,} queries"
    clusters = "1 cluster" if side.clusters == 1 else f"{side.clusters:,} clusters"
    few = "only " if side.clusters < FEW_CLUSTERS else ""
    return f"{queries} in {few}{clusters}" if side.clusters and (few or side.clusters < side.n) else queries


def _names(languages: Sequence[str]) -> str:
    names = [language_name(lang) for lang in languages]
    if len(names) > _SHOWN:
        return f"{len(names)} languages ({', '.join(names[:_SHOWN])}, ...)"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(rate: float) -> str:
    """A share as sentences say it: no 0 % or 100 % that is not one."""
    if rate in (0.0, 1.0) or 0.01 <= rate <= 0.99:
        return f"{100 * rate:.0f} %"
    return f"{100 * min(max(rate, 0.001), 0.999):.1f} %"


def signed(share: float) -> str:
    """The end of an interval, with its sign."""
    size = 100 * abs(share)
    text = f"{size:.0f}" if 1 <= size <= 99 or size in (0, 100) else f"{min(size, 99.9):.1f}"
    sign = "" if not float(text) else "−" if share < 0 else "+"
    return f"{sign}{text if sign else 0} %"
