"""The verdict in words: a headline that says what is worst, where and how badly, and a sentence or two a language.

Every sentence comes from a claim; nothing is decided here. Pages, terminals, cards and histories take these sentences.
"""

from collections.abc import Sequence

from clir_core.audit.claim import INCLINATIONS, Claim, ClaimName, Side
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import ENGLISH

# net share of the queries from which on an inclination is called so
CLEAR, SEVERE = 0.15, 0.4
_SHOWN = 4
TITLES: dict[ClaimName, str] = {
    "english_inclination": "English inclination",
    "own_language_inclination": "own-language inclination",
    "x_inclination": "inclination to the other language, whatever the query's",
    "other_language_inclination": "other-language inclination",
    "none_found": "no inclination found",
    "cannot_say": "cannot say",
    "cannot_retrieve": "cannot retrieve",
}


def verdict(claims: Sequence[Claim], model: str) -> tuple[str, ...]:
    """The headline first, then what is said of each language. `claims` come worst first."""
    return (headline(claims, model), *map(sentence, claims))


def headline(claims: Sequence[Claim], model: str) -> str:
    """What is worst, where, and how badly; then what cannot be said."""
    inclined = [claim for claim in claims if claim.is_inclination]
    parts = [f"{model}: {_inclined(inclined)}"] if inclined else []
    rest = [
        ("cannot_retrieve", "it cannot retrieve in"),
        ("cannot_say", "too little to say of"),
        ("none_found", "none found in"),
    ]
    for name, said in rest:
        langs = [claim.language for claim in claims if claim.claim == name]
        if langs:
            said = "no inclination found in" if name == "none_found" and not inclined else said
            parts.append(f"{said} {_names(langs)}")
    if not claims:
        parts = ["it was not asked about inclination"]
    if not inclined:
        return f"{model}: {'; '.join(parts)}."
    return f"{'; '.join(parts)}."


def _inclined(claims: Sequence[Claim]) -> str:
    kinds = [[one for one in claims if one.claim == name] for name in INCLINATIONS]
    kinds = sorted(filter(None, kinds), key=lambda kind: -abs(kind[0].size or 0))
    said = [f"{named(kind[0])} in {_names([one.language for one in kind])}" for kind in kinds]
    worst = f"worst in {language_name(claims[0].language)}, where " if len(claims) > 1 else ""
    return f"{', '.join(said)}: {worst}{_suffers(claims[0])}"


def title(claim: Claim) -> str:
    """What a claim is called."""
    if claim.claim == "x_inclination":
        return f"{language_name(claim.language)} inclination"
    return TITLES[claim.claim]


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
    return " ".join([f"{lead}.", *(_of_side(side, claim.language) for side in claim.sides)])


def _suffers(claim: Claim) -> str:
    """'a net 31 % of the Thai queries (25 % to 37 %) put more unrelated English documents above ...'."""
    side = max((side for side in claim.sides if side.lean), key=lambda side: abs(side.size))
    winner = language_name(ENGLISH if side.lean == "en" else claim.language)
    return f"{_net(side)} put more unrelated {winner} documents above a relevant one than chance would"


def _net(side: Side) -> str:
    low, high = sorted((abs(side.low), abs(side.high))) if side.low * side.high > 0 else (0.0, abs(side.high))
    asked = language_name(side.query_lang)
    return f"a net {percent(abs(side.size))} of the {asked} queries ({percent(low)} to {percent(high)})"


def _of_side(side: Side, lang: str) -> str:
    name, asked = language_name(lang), f"{language_name(side.query_lang)} queries"
    few = f" in only {side.clusters} groups" if 0 < side.clusters < 20 else ""
    toward = "English" if side.size >= 0 else name
    net = (
        f"{asked}: net {percent(abs(side.size))} toward {toward} ({signed(side.low)} to {signed(side.high)}, "
        f"{side.n:,} queries{few})"
    )
    if side.english_first is None or side.x_first is None:
        return f"{net}."
    return (
        f"{net}; an unrelated English document comes first for {percent(side.english_first)}, an unrelated {name} one "
        f"for {percent(side.x_first)}."
    )


def _names(languages: Sequence[str]) -> str:
    names = [language_name(lang) for lang in languages]
    if len(names) > _SHOWN:
        return f"{len(names)} languages ({', '.join(names[:_SHOWN])}, ...)"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(rate: float) -> str:
    """A share as sentences say it: no 0 % or 100 % that is not one."""
    return f"{100 * rate:.0f} %" if 0.01 <= rate <= 0.99 or rate in (0.0, 1.0) else f"{100 * rate:.1f} %"


def signed(share: float) -> str:
    """A share with its sign."""
    return f"{'−' if share < 0 else '+'}{percent(abs(share))}"
