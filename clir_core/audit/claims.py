"""From figures to claims: one for every language beside the pivot, none without evidence and a size that matters.

A claim needs p < 0.05 after Holm over both query sides of all languages, and a net share of the queries of at least
`min_inclination`, so that a better model does not get a louder headline. docs/metrics.md argues the defaults.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clir_core.audit.claim import CLEAR, FEW_CLUSTERS, Claim, ClaimName, Lean, Side
from clir_core.audit.figure import by_key
from clir_core.audit.holm import LEVEL, holm
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.audit.verdict import percent
from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH
from clir_core.scenarios.distractor import NAME as DISTRACTOR
from clir_core.scenarios.label import Key
from clir_core.scenarios.mono import NAME as MONO
from clir_core.scenarios.multi import NAME as MULTI
from clir_core.scenarios.pool_info import PoolInfo

# in smaller pools there is hardly anything that could outrank
SMALL_POOL = 20
# who wins from X's queries, from the pivot's
CLAIMS: Mapping[tuple[Lean | None, Lean | None], ClaimName] = {
    ("en", "en"): "english_inclination",
    ("en", None): "english_inclination",
    ("pivot", "pivot"): "pivot_inclination",
    ("pivot", None): "pivot_inclination",
    ("x", "x"): "x_inclination",
    (None, "x"): "x_inclination",
    ("x", "en"): "own_language_inclination",
    ("x", None): "own_language_inclination",
    (None, "en"): "own_language_inclination",
    ("en", "x"): "other_language_inclination",
    ("x", "pivot"): "own_language_inclination",
    (None, "pivot"): "own_language_inclination",
    ("pivot", "x"): "other_language_inclination",
}
Figures = Mapping[Key, MetricRow]
# documents of a pool by its scenario, query language and X
Sizes = Mapping[tuple[str, str, str | None], int]


class _Measured(NamedTuple):
    """A side before it is known how many there are to correct for."""

    query_lang: str
    lang: str
    row: MetricRow


def claims(
    rows: Sequence[MetricRow], pools: Sequence[PoolInfo], languages: Sequence[str], spec: AuditSpec
) -> tuple[Claim, ...]:
    """A claim for each of these languages beside the pivot, what is worst first."""
    figures = by_key(rows)
    sizes = {(pool.scenario, pool.query_lang, pool.lang): sum(pool.sizes.values()) for pool in pools}
    unable = {lang: why for lang in (spec.pivot, *languages) if (why := _unable(figures, pools, lang, spec))}
    pivot = unable.pop(spec.pivot, None)
    if pivot and pivot.claim == "cannot_retrieve":
        # its documents are half of every pool
        because = {"claim": "cannot_say", "reason": f"{pivot.reason}: nothing is said of preference"}
        unable = {lang: pivot.model_copy(update=because) for lang in languages} | unable
    able = [lang for lang in languages if lang not in unable]
    measured = [side for lang in able for side in _measured(figures, lang, spec.pivot)]
    corrected = holm([side.row.p if side.row.p is not None else 1.0 for side in measured])
    sides: dict[str, list[Side]] = {lang: [] for lang in able}
    for side, p in zip(measured, corrected, strict=True):
        sides[side.lang].append(_side(figures, side, p, sizes, spec))
    found = [
        _claim(lang, sides[lang], sizes, spec) if lang in sides else unable[lang].model_copy(update={"language": lang})
        for lang in languages
    ]
    return tuple(sorted(found, key=_order))


def _order(claim: Claim) -> tuple[int, float, str]:
    rank = {"cannot_retrieve": 1, "cannot_say": 2, "none_found": 3}.get(claim.claim, 0)
    return rank, -abs(claim.size or 0), claim.language


def _unable(figures: Figures, pools: Sequence[PoolInfo], lang: str, spec: AuditSpec) -> Claim | None:
    """What is claimed of a language that is not retrieved beyond what guessing finds in so small a pool."""
    row = figures.get((MONO, lang, lang, "acc@1"))
    if row is None:
        return None
    size = next(sum(pool.sizes.values()) for pool in pools if (pool.scenario, pool.lang) == (MONO, lang))
    guessed = 1 / max(size, 1)
    if guessed >= 1 or max(0.0, (row.value - guessed) / (1 - guessed)) >= spec.min_retrieval:
        return None
    few = (row.clusters or 0) < FEW_CLUSTERS
    name, found = language_name(lang), f"only {percent(row.value)}" if row.value else "none"
    why = f"{name} queries find the relevant {name} document first for {found} of them, with only {name} in the pool"
    return Claim(
        language=lang,
        pivot=spec.pivot,
        claim="cannot_say" if few else "cannot_retrieve",
        n=row.n,
        clusters=row.clusters or 0,
        reason=f"{_too_few(row.clusters or 0)}; {why}" if few else why,
    )


def _measured(figures: Figures, lang: str, pivot: str) -> list[_Measured]:
    both, own = (figures.get((name, lang, lang, "inclination")) for name in (MULTI, DISTRACTOR))
    # where few documents have a translation, only the pools that need none hold most of the queries
    of_x = own if own and (not both or both.n < own.n / 2) else both
    of_pivot = figures.get((MULTI, pivot, lang, "inclination"))
    found = ((lang, of_x), (pivot, of_pivot))
    return [_Measured(query_lang, lang, row) for query_lang, row in found if row is not None]


def _side(figures: Figures, side: _Measured, p: float, sizes: Sizes, spec: AuditSpec) -> Side:
    row = side.row
    lean: Lean | None = None
    if p < LEVEL and abs(row.value) >= spec.min_inclination:
        lean = "x" if row.value <= 0 else "en" if spec.pivot == ENGLISH else "pivot"
    if lean == "x" and row.scenario == DISTRACTOR:
        lean = None  # its relevant documents are X's own: nobody's version is buried
    first = [
        figures.get((row.scenario, row.query_lang, side.lang, f"unrelated_first({who})")) for who in (spec.pivot, "x")
    ]
    english_first, x_first = (one.value if one else None for one in first)
    place = (row.scenario, side.query_lang, side.lang)
    k = telling_cutoff(spec.cutoffs, sizes.get(place, 0)) if row.scenario == MULTI else None
    complete = figures.get((*place, f"complete@{k}"))
    return Side(
        query_lang=side.query_lang,
        scenario=row.scenario,
        size=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        clusters=row.clusters or 0,
        p=p,
        lean=lean,
        english_first=english_first,
        x_first=x_first,
        complete=complete.value if complete else None,
        k=k if complete else None,
    )


def telling_cutoff(cutoffs: Sequence[int], pool_size: int) -> int | None:
    """The k nearest to the usual 10 at which two versions can be found or missed; None where there is none."""
    able = [k for k in cutoffs if 2 <= k < pool_size]
    return min(able, key=lambda k: (abs(k - 10), -k), default=None)


def _claim(lang: str, sides: Sequence[Side], sizes: Sizes, spec: AuditSpec) -> Claim:
    if not sides:
        asked = {MULTI, DISTRACTOR} & set(spec.scenarios)
        why = f"no query was ranked among {language_name(spec.pivot)} and {language_name(lang)} documents"
        reason = why if asked else f"that takes scenario {MULTI} or {DISTRACTOR}, which was not asked for"
        return Claim(language=lang, pivot=spec.pivot, claim="cannot_say", reason=reason)
    leans = {side.query_lang: side.lean for side in sides}
    name = CLAIMS.get((leans.get(lang), leans.get(spec.pivot)))
    telling = _telling(name, lang, sides, spec.pivot)
    smallest = min(sizes.get((side.scenario, side.query_lang, lang), SMALL_POOL) for side in sides)
    reason = _caveat(name, lang, sides) if name else _doubt(sides, smallest, spec)
    return Claim(
        language=lang,
        pivot=spec.pivot,
        claim=name or ("cannot_say" if reason else "none_found"),
        asked_in=telling.query_lang,
        **telling.model_dump(include={"size", "low", "high", "n", "clusters", "p"}),
        reason=reason,
        sides=tuple(sides),
    )


def _telling(name: ClaimName | None, lang: str, sides: Sequence[Side], pivot: str) -> Side:
    """The side that says how badly: where a language wins from both, the one of the queries that lose by it."""
    losers = {"english_inclination": lang, "pivot_inclination": lang, "x_inclination": pivot}
    wanted = [
        side for side in sides if name is None or (side.lean and side.query_lang == losers.get(name, side.query_lang))
    ]
    return max(wanted, key=lambda side: abs(side.size))


def _caveat(name: ClaimName, lang: str, sides: Sequence[Side]) -> str:
    """What one query side alone cannot tell apart."""
    if len(sides) > 1 or name != "own_language_inclination":
        return ""
    asked = language_name(sides[0].query_lang)
    return f"as far as {asked} queries alone tell it from {asked} inclination"


def _doubt(sides: Sequence[Side], pool_size: int, spec: AuditSpec) -> str:
    """Why silence says nothing, empty where it does: what matters is excluded, or there was enough to see it in."""
    if pool_size < SMALL_POOL:
        return f"a pool of {pool_size} documents is too small to show one"
    reach = max(max(_against_pivot(side), side.high) for side in sides)
    if reach < spec.min_inclination:
        return ""
    fewest = min(side.clusters for side in sides)
    if fewest < FEW_CLUSTERS:
        return _too_few(fewest)
    if reach >= max(CLEAR, spec.min_inclination):
        return f"too few queries to exclude a net {percent(reach)}"
    if all(side.size == 0 and not (side.english_first or side.x_first) for side in sides):
        return "nothing outranks a relevant document, and there are too few queries to exclude that it would"
    return ""


def _against_pivot(side: Side) -> float:
    """How far X could win; where only X's own documents are relevant, its others bury none of the pivot's."""
    return 0.0 if side.scenario == DISTRACTOR else -side.low


def _too_few(clusters: int) -> str:
    return f"{clusters} {'cluster of queries is' if clusters == 1 else 'clusters of queries are'} too few"
