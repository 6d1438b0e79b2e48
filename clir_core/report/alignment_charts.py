"""The alignment page's pictures: each language's figures before and after, and what English does to them.

Small figures that the page sets beside or below each other, as it has room. Colours are the page's, as in `charts`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.lang import language_name
from clir_core.report.changes import Change, Changes, Kind
from clir_core.report.charts import COLOURS, INK, METRIC, PAPER, QUIET, RULE, STYLE, Curve, as_element, curves
from clir_core.scenarios import mono, multi
from clir_core.scenarios.column import Column

HUES: dict[Kind, str] = {"gain": COLOURS[0], "fall": COLOURS[1], "even": QUIET}
AFTER = COLOURS[0]
MOST_DOSES = 24
WIDE = 0.5  # of a range: from here on an axis of rates shows all from 0 to 1
ROW = 0.27  # inches a language
Limits = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """One small chart and what stands above it."""

    title: str
    svg: Markup


def dumbbells(tables: Sequence[Changes], trained: Collection[str], margin: float) -> tuple[Panel, ...]:
    """complete@k for both query sides and monolingual acc@1: before, after and their intervals, a row a language.

    Panels of one scenario share an axis. A tick shows how far the gate lets a monolingual figure fall.
    """
    found = [(column, table.of(column)) for table in tables for column in table.columns if _is_pictured(column)]
    drawn = [(column, [change for change in changes if change.drawn]) for column, changes in found]
    panels = []
    for column, changes in drawn:
        if changes:
            alike = [change for other, each in drawn if other.scenario == column.scenario for change in each]
            limits = _limits([row for change in alike for row in change.drawn or ()])
            allowed = margin if column.scenario == mono.NAME else None
            title = f"{column.group}: {column.metric}"
            panels.append(Panel(title, _dumbbell(title, changes, trained, limits, allowed)))
    return tuple(panels)


def dose_changes(before: AuditResult, after: AuditResult) -> tuple[tuple[Panel, ...], str]:
    """The dose-response curve before and after, a panel a language on one scale, and a note where some are left out."""
    new = {curve.lang: curve for curve in curves(after)}
    pairs = [(old, new[old.lang]) for old in curves(before) if old.lang in new]
    shown = sorted(pairs, key=lambda pair: -_most_changed(*pair))[:MOST_DOSES]
    shown.sort(key=lambda pair: before.languages.index(pair[0].lang))
    limits = _limits([row for pair in shown for curve in pair for row in curve.rows])
    left_out = f"Of {len(pairs)} languages these are the {len(shown)} that change most."
    panels = tuple(Panel(language_name(old.lang), _dose(old, new, limits)) for old, new in shown)
    return panels, left_out if len(shown) < len(pairs) else ""


def _is_pictured(column: Column) -> bool:
    both = column.scenario == multi.NAME and column.metric.startswith("complete@")
    return both or (column.scenario, column.metric) == (mono.NAME, METRIC)


def _limits(rows: Sequence[MetricRow]) -> Limits:
    """Of an axis of rates: all from 0 to 1, or what the intervals need where that is much less."""
    if not rows:
        return 0.0, 1.0
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    if high - low > WIDE:
        return 0.0, 1.0
    room = max(0.01, 0.05 * (high - low))
    return max(0.0, low - room), min(1.0, high + room)


def _dumbbell(
    title: str, changes: Sequence[Change], trained: Collection[str], limits: Limits, margin: float | None
) -> Markup:
    untrained = [change for change in changes if change.lang not in trained]
    groups = [("trained", [change for change in changes if change.lang in trained]), ("not trained", untrained)]
    # a line for each group's name, where there are two
    lines: list[str | Change] = []
    for name, members in groups:
        lines += [name] if members and untrained else []
        lines += members
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.1, ROW * len(lines) + 0.45), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        _frame(axes, lines, limits)
        for at, line in enumerate(lines):
            if isinstance(line, Change):
                _draw(axes, at, line, margin)
        return as_element(figure, f"{title}, before and after, by language")


def _frame(axes: Axes, lines: Sequence[str | Change], limits: Limits) -> None:
    axes.patch.set_alpha(0)
    axes.set_xlim(*limits)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    names = [line if isinstance(line, str) else language_name(line.lang) for line in lines]
    axes.set_yticks(range(len(lines)), names)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        if isinstance(line, str):
            label.set(color=QUIET, fontsize=8.5)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.tick_params(length=0, pad=6)
    axes.locator_params(axis="x", nbins=6)
    axes.spines["bottom"].set_visible(False)
    axes.set_axisbelow(True)


def _draw(axes: Axes, at: int, change: Change, margin: float | None) -> None:
    if change.drawn is None:
        return
    before, after = change.drawn
    hue = HUES[change.kind]
    for row, colour in ((before, QUIET), (after, hue)):
        axes.barh(at, row.high - row.low, 0.62, row.low, color=colour, alpha=0.24, linewidth=0)
    axes.plot([before.value, after.value], [at, at], color=hue, linewidth=1.6, clip_on=False)
    axes.plot(
        before.value, at, "o", markersize=5.2, color=PAPER, markeredgecolor=QUIET, markeredgewidth=1.5, clip_on=False
    )
    axes.plot(after.value, at, "o", markersize=6, color=hue, markeredgewidth=0, clip_on=False)
    if margin is not None:
        axes.vlines(before.value - margin, at - 0.36, at + 0.36, color=INK, linewidth=1.1)


def _dose(old: Curve, new: Curve, limits: Limits) -> Markup:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.35, 1.75), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.set_xlim(0, max(old.shares[-1], new.shares[-1]))
        axes.set_ylim(*limits)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.tick_params(length=0)
        axes.locator_params(nbins=4)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        for curve, colour, dash in ((old, QUIET, (0, (4, 2))), (new, AFTER, "solid")):
            lows, highs = [row.low for row in curve.rows], [row.high for row in curve.rows]
            axes.fill_between(curve.shares, lows, highs, color=colour, alpha=0.16, linewidth=0)
            values = [row.value for row in curve.rows]
            axes.plot(curve.shares, values, color=colour, linewidth=1.8, linestyle=dash, clip_on=False)
        label = f"{METRIC} against the English share, before and after: {language_name(old.lang)}"
        return as_element(figure, label)


def _most_changed(old: Curve, new: Curve) -> float:
    values = dict(zip(old.shares, old.rows, strict=True))
    found = zip(new.shares, new.rows, strict=True)
    return max((abs(row.value - values[share].value) for share, row in found if share in values), default=0.0)
