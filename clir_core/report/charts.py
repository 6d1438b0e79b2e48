"""The dose-response curve: accuracy against the share of unrelated documents in the pivot, as an inline SVG.

Colours are CSS variables of the page, so that the chart follows its light and dark mode.
"""

import io
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.lang import language_name
from clir_core.scenarios import share

METRIC = "acc@1"
LINES = 8  # of the page's --line-0 ... --line-7; the eye tells no more apart
# matplotlib knows no CSS: these colours stand for variables and are replaced in the finished SVG
INK, RULE, QUIET, PAPER = "#010101", "#020202", "#030303", "#040404"
VARIABLES = {INK: "currentColor", RULE: "var(--rule)", QUIET: "var(--quiet)", PAPER: "var(--paper)"}
COLOURS = tuple(f"#0{index}0{index}ff" for index in range(LINES))
DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)))
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "clir",  # the same figures give the same bytes
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


@dataclass(frozen=True)
class Curve:
    """One language's figures by the pivot's share, in rising order."""

    lang: str
    shares: tuple[float, ...]
    rows: tuple[MetricRow, ...]


@dataclass(frozen=True)
class Chart:
    """An <svg> element and what to say of it."""

    svg: Markup
    note: str


def curves(result: AuditResult) -> tuple[Curve, ...]:
    """The figures by share of every language that has at least two."""
    found: dict[str, list[tuple[float, MetricRow]]] = {}
    for row in result.metrics:
        wanted = row.metric == METRIC and row.query_lang == row.lang and math.isfinite(row.value + row.low + row.high)
        if wanted and row.lang is not None and row.scenario_name == share.NAME and row.share is not None:
            found.setdefault(row.lang, []).append((row.share, row))
    sorted_by_share = ((lang, sorted(rows, key=lambda pair: pair[0])) for lang, rows in found.items())
    return tuple(
        Curve(lang, tuple(at for at, _ in rows), tuple(row for _, row in rows))
        for lang, rows in sorted_by_share
        if len(rows) > 1
    )


def dose_response(result: AuditResult) -> Chart | None:
    """The chart, or None where no language has a curve. Of very many languages those that change most are shown."""
    found, shown = curves(result), _shown(result)
    if not shown:
        return None
    figure = draw_dose_response(result)
    assert figure
    names = ", ".join(language_name(curve.lang) for curve in shown)
    svg = as_element(figure, f"{METRIC} against the {language_name(result.spec.pivot)} share: {names}")
    note = "Bands are 95 % intervals." if _has_bands(shown) else "The intervals are in the list of figures below."
    if len(shown) < len(found):
        note += f" Of {len(found)} languages these are the {len(shown)} that change most."
    return Chart(svg, note)


def draw_dose_response(result: AuditResult) -> Figure | None:
    """The figure, in colours that stand for the page's; None where no language has a curve."""
    shown = _shown(result)
    if not shown:
        return None
    band = _has_bands(shown)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, max(3.9, 0.21 * len(shown) + 1)), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        _frame(axes, shown, band, language_name(result.spec.pivot))
        for index, curve in enumerate(shown):
            _draw(axes, curve, index, band)
        _label_ends(axes, shown)
    return figure


def _shown(result: AuditResult) -> list[Curve]:
    """Of very many languages those that change most, in the order of the result."""
    found = sorted(curves(result), key=lambda curve: -abs(curve.rows[-1].value - curve.rows[0].value))
    return sorted(found[: LINES * len(DASHES)], key=lambda curve: result.languages.index(curve.lang))


def _has_bands(shown: Sequence[Curve]) -> bool:
    return len(shown) <= LINES


def _frame(axes: Axes, shown: Sequence[Curve], band: bool, pivot: str) -> None:
    axes.patch.set_alpha(0)
    axes.set_xlim(0, max(curve.shares[-1] for curve in shown))
    rows = [row for curve in shown for row in curve.rows]
    low = min(row.low if band else row.value for row in rows)
    high = max(row.high if band else row.value for row in rows)
    margin = max(0.02, 0.05 * (high - low))
    axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.tick_params(length=0)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel(f"share of unrelated {pivot} documents in the pool (size held constant)")
    axes.set_ylabel(f"{METRIC}, query and gold in the same language")


def _draw(axes: Axes, curve: Curve, index: int, band: bool) -> None:
    colour, dash = COLOURS[index % LINES], DASHES[index // LINES]
    values = [row.value for row in curve.rows]
    axes.plot(curve.shares, values, color=colour, linewidth=1.8, linestyle=dash, clip_on=False)
    if band:
        lows, highs = [row.low for row in curve.rows], [row.high for row in curve.rows]
        axes.fill_between(curve.shares, lows, highs, color=colour, alpha=0.13, linewidth=0)


def _label_ends(axes: Axes, shown: Sequence[Curve]) -> None:
    """Each line's language at its end, on a leader in the line's own look, since labels may have to move apart."""
    bottom, top = axes.get_ylim()
    wanted = [curve.rows[-1].value for curve in shown]
    places = spread(wanted, (top - bottom) / max(17, len(shown)))
    for index, (curve, place) in enumerate(zip(shown, places, strict=True)):
        colour, end, span = COLOURS[index % LINES], curve.shares[-1], axes.get_xlim()[1]
        leader = {"color": colour, "linewidth": 0.9, "linestyle": DASHES[index // LINES], "clip_on": False}
        axes.plot([end, end + 0.025 * span], [wanted[index], place], **leader, scalex=False, scaley=False)
        axes.annotate(
            language_name(curve.lang), (end + 0.03 * span, place), va="center", color=colour, annotation_clip=False
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places as near to the wanted ones as keeping a gap allows: crowded ones share the shift up and down."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    # each cluster: its members' mean wanted place for the lowest of them, and how many they are
    clusters: list[tuple[float, int]] = []
    for index in order:
        lowest, size = wanted[index], 1
        while clusters and lowest < clusters[-1][0] + clusters[-1][1] * gap:
            before, count = clusters.pop()
            lowest, size = (before * count + (lowest - count * gap) * size) / (count + size), count + size
        clusters.append((lowest, size))
    stacked = (lowest + step * gap for lowest, size in clusters for step in range(size))
    places = dict(zip(order, stacked, strict=True))
    return [places[index] for index in range(len(wanted))]


def as_element(figure: Figure, label: str) -> Markup:
    """The figure as an <svg> in the page's colours, read aloud as `label`; figures of other labels share no id."""
    out = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    for index, colour in enumerate(COLOURS):
        svg = svg.replace(colour, f"var(--line-{index})")
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>c{zlib.crc32(label.encode()):x}-", svg)
    # matplotlib escapes the texts that it draws
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))
