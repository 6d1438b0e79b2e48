"""The report's pictures as matplotlib figures, for notebooks and papers: in ink on white, no page around them."""

from typing import Any

import matplotlib
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from clir_core.audit.result import AuditResult
from clir_core.corpus.lang import language_name
from clir_core.report.charts import COLOURS, INK, PAPER, QUIET, RULE, STYLE, draw_dose_response
from clir_core.report.heatmap import HeatCell, HeatMap, heat_map
from clir_core.report.inclination import draw_inclination

# the page's colours in daylight
LINES = ("#0a68a8", "#b25000", "#00735a", "#a02c6a", "#6a51a3", "#806000", "#b2182b", "#4d5661")
PRINTED = {
    INK: "#1d2024",
    RULE: "#dcdcd5",
    QUIET: "#59606b",
    PAPER: "#ffffff",
    **dict(zip(COLOURS, LINES, strict=True)),
}
HUES = {"loss": "#6d5c8f", "pivot": "#d9731a", "other": "#2a78b8", "none": "#ffffff"}
_PARTS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def dose_response_figure(result: AuditResult) -> Figure | None:
    """The dose-response curve; None where no language has one."""
    drawn = draw_dose_response(result)
    return printed(drawn) if drawn else None


def inclination_figure(result: AuditResult) -> Figure | None:
    """Who wins in every language; None where nothing is claimed of any."""
    drawn = draw_inclination(result)
    return printed(drawn) if drawn else None


def heat_map_figure(result: AuditResult) -> Figure:
    """The heat map of a result: a row a language, a column a metric."""
    heat = heat_map(result)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.6 + 1.05 * len(heat.columns), 1.5 + 0.34 * len(heat.rows)), layout="constrained")
        axes = figure.subplots()
        axes.set_xlim(0, len(heat.columns))
        axes.set_ylim(len(heat.rows), 0)
        _cells(axes, heat)
        heads = [f"{column.group}\n{column.metric}" for column in heat.columns]
        axes.set_xticks([at + 0.5 for at in range(len(heads))], heads, rotation=40, ha="left", fontsize=8)
        axes.xaxis.tick_top()
        axes.set_yticks([at + 0.5 for at in range(len(heat.rows))], [language_name(lang) for lang, _ in heat.rows])
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return printed(figure)


def printed(figure: Figure) -> Figure:
    """The figure with colours in place of the page's variables."""
    figure.patch.set_alpha(1)
    figure.patch.set_facecolor(PRINTED[PAPER])
    for artist in figure.findobj():
        for part in _PARTS:
            get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            if get and put and (colour := _variable(get())):
                put(PRINTED[colour])
    return figure


def _variable(value: Any) -> str | None:
    try:
        colour = to_hex(value)
    except ValueError:  # several colours, or none
        return _variable(value[0]) if hasattr(value, "__len__") and len(value) == 1 else None
    return colour if colour in PRINTED else None


def _cells(axes: Any, heat: HeatMap) -> None:
    for row, (_, cells) in enumerate(heat.rows):
        for at, cell in enumerate(cells):
            axes.add_patch(matplotlib.patches.Rectangle((at, row), 1, 1, facecolor=_mixed(cell), edgecolor="#ffffff"))
            text = cell.text if cell.fewer is None else f"{cell.text}\nn {cell.fewer:,}"
            axes.text(at + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8)


def _mixed(cell: HeatCell) -> tuple[float, float, float]:
    """The cell's hue, as strong as the figure is bad."""
    strength = 0.75 * cell.strength / 100
    red, green, blue = (1 - strength + strength * part for part in to_rgb(HUES[cell.hue]))
    return red, green, blue
