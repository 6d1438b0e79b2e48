"""The picture of the claims: a row a language, worst first, how far either side wins from both query sides.

Orange are documents in the pivot that win, blue those of the other language, whatever the query's;
hollow is not claimed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clir_core.audit.claim import Claim, ClaimName, Lean, Side
from clir_core.audit.result import AuditResult
from clir_core.audit.verdict import TITLES, named, severity
from clir_core.corpus.lang import language_name
from clir_core.report.charts import COLOURS, INK, PAPER, QUIET, RULE, STYLE, Chart, as_element

MOST = 24
WINNERS: Mapping[Lean, str] = {"x": COLOURS[0], "en": COLOURS[1], "pivot": COLOURS[1]}
HUES: Mapping[ClaimName, str] = {
    "english_inclination": WINNERS["en"],
    "pivot_inclination": WINNERS["pivot"],
    "x_inclination": WINNERS["x"],
    "own_language_inclination": COLOURS[4],
    "other_language_inclination": COLOURS[4],
    "none_found": COLOURS[2],
    "cannot_say": QUIET,
    "cannot_retrieve": QUIET,
}
# as narrow as a telephone: there its letters have their own size
_WIDTH, _PITCH, _TALL = 4.7, (0.16, 0.29), 4.2  # inches: of all, of a row at least and at most, of all rows
_TEXT, _SMALL = 9.5, 8.5
_LONGEST_NAME = 18
_QUERIES = {"x": ("o", 5.6, -0.17), "pivot": ("D", 4.7, 0.17)}  # marker, its size, where in the row


def inclination(result: AuditResult) -> Chart | None:
    """The chart, or None where nothing is claimed of any language: a result of before. Of many the worst are shown."""
    figure = draw_inclination(result)
    if figure is None:
        return None
    shown, rest = result.claims[:MOST], result.claims[MOST:]
    said = "; ".join(f"{language_name(claim.language)}: {named(claim)}" for claim in shown)
    kinds = Counter("inclined" if claim.is_inclination else TITLES[claim.claim] for claim in rest)
    others = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    note = f"The first {MOST} of {len(result.claims)} languages, worst first. The others: {others}." if rest else ""
    return Chart(as_element(figure, f"Who wins, and by how much, worst first. {said}"), note)


def draw_inclination(result: AuditResult) -> Figure | None:
    """The figure, in colours that stand for the page's; None where nothing is claimed of any language."""
    shown = result.claims[:MOST]
    if not shown:
        return None
    least, most = _PITCH
    height = len(shown) * min(most, max(least, _TALL / len(shown)))
    with matplotlib.rc_context({**STYLE, "font.size": _TEXT}):
        figure = Figure(figsize=(_WIDTH, height + 1), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        _frame(axes, shown)
        axes.axvspan(-result.spec.min_inclination, result.spec.min_inclination, color=RULE, alpha=0.5, linewidth=0)
        for at, claim in enumerate(shown):
            for side in claim.sides:
                _draw(axes, at, side, claim.pivot)
        _legend(figure, axes, result.spec.pivot)
    return figure


def _frame(axes: Axes, shown: Sequence[Claim]) -> None:
    axes.patch.set_alpha(0)
    axes.set_xlim(-1.03, 1.03)
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["100 %", "50 %", "0", "50 %", "100 %"], fontsize=_SMALL)
    axes.set_yticks(range(len(shown)), [_short(language_name(claim.language)) for claim in shown])
    axes.tick_params(length=0, pad=5)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["bottom"].set_visible(False)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel("net share of the queries, with 95 % intervals", fontsize=_SMALL, color=QUIET)
    other = language_name(shown[0].language) if len(shown) == 1 else "other language"
    _above(axes, f"← {_short(other)} wins", "x")
    _above(axes, f"{_short(language_name(shown[0].pivot))} wins →", "pivot")
    _words(axes, shown)


def _above(axes: Axes, text: str, winner: Lean) -> None:
    """What a side of the axis means, in its colour, from the middle outwards."""
    way = -1 if winner == "x" else 1
    axes.annotate(
        text, (0, 1), xytext=(8 * way, 5), xycoords=("data", "axes fraction"), textcoords="offset points",
        color=WINNERS[winner], ha="right" if way < 0 else "left", weight="bold",
    )  # fmt: skip


def _words(axes: Axes, shown: Sequence[Claim]) -> None:
    """Every row's claim in a word, for those who do not see the colours too."""
    for at, (claim, label) in enumerate(zip(shown, axes.get_yticklabels(), strict=True)):
        unknown = claim.claim in ("cannot_say", "cannot_retrieve")
        label.set_color(QUIET if unknown else INK)
        word = severity(claim) or ("none found" if claim.claim == "none_found" else TITLES[claim.claim])
        weight = "bold" if claim.is_inclination else "normal"
        axes.annotate(
            word,
            (1.08, at),
            va="center",
            color=HUES[claim.claim],
            weight=weight,
            fontsize=_SMALL,
            annotation_clip=False,
        )


def _draw(axes: Axes, at: int, side: Side, pivot: str) -> None:
    marker, size, shift = _QUERIES["pivot" if side.query_lang == pivot else "x"]
    hue = WINNERS[side.lean] if side.lean else QUIET
    axes.plot([side.low, side.high], [at + shift] * 2, color=hue, linewidth=1.4, solid_capstyle="butt")
    inside = hue if side.lean else PAPER
    axes.plot(
        side.size, at + shift, marker, markersize=size, color=inside, markeredgecolor=hue, markeredgewidth=1.3,
        clip_on=False,
    )  # fmt: skip


def _legend(figure: Figure, axes: Axes, pivot: str) -> None:
    """What shape and filling say; the colours are said above the axis."""
    for name, marker, inside in (
        ("asked in that language", "o", QUIET),
        (f"asked in {_short(language_name(pivot))}", "D", QUIET),
        ("hollow: not claimed", "o", PAPER),
    ):
        axes.plot([], [], marker, color=inside, markeredgecolor=QUIET, markersize=5, label=name)
    figure.legend(
        loc="outside lower center", ncols=3, fontsize=_SMALL, frameon=False, labelcolor=INK, handletextpad=0,
        columnspacing=0.9, borderpad=0,
    )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
