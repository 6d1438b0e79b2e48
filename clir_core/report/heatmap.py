"""The heat map: languages against metrics, where the stronger colour is the worse figure.

Colour says one thing: violet is lost quality, orange that the pivot wins, blue that the other language X does, whatever
the query's language; as in the picture of the claims.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clir_core.audit.figure import by_key
from clir_core.audit.result import AuditResult, MetricRow
from clir_core.measure.figures import NONE, cutoff, interval, number
from clir_core.scenarios import every_scenario
from clir_core.scenarios.column import Column

Hue = Literal["loss", "pivot", "other", "none"]
HALF_SPAN = 0.5  # differences of this size get the full colour: the pools hold as much of the pivot as of X


@dataclass(frozen=True)
class HeatCell:
    """A figure, its hue, how strong the hue is in percent; `fewer` is its n where its neighbours have more."""

    text: str
    title: str
    hue: Hue
    strength: int
    fewer: int | None = None


@dataclass(frozen=True)
class HeatMap:
    """Columns that hold at least one figure, and a row for each language that has one."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]


def columns(k: int, pivot: str) -> tuple[Column, ...]:
    """Rates first, then the differences whose ideal is no difference; scenario by scenario."""
    found = [column for scenario in every_scenario() for column in scenario.heat_columns(k, pivot)]
    return tuple(sorted(found, key=lambda column: column.better not in ("higher", "lower")))


def heat_map(result: AuditResult) -> HeatMap:
    """The map of a result; empty columns and rows are left out."""
    figures = by_key(result.metrics)
    wanted = columns(cutoff(result), result.spec.pivot)
    found = {lang: [figures.get(column.key(lang)) for column in wanted] for lang in result.languages}
    kept = [at for at in range(len(wanted)) if any(row[at] is not None for row in found.values())]
    rows = [(lang, _cells([wanted[at] for at in kept], [row[at] for at in kept])) for lang, row in found.items()]
    return HeatMap(tuple(wanted[at] for at in kept), tuple((lang, cells) for lang, cells in rows if cells))


def _cells(columns: Sequence[Column], row: Sequence[MetricRow | None]) -> tuple[HeatCell, ...]:
    """A language's cells; empty where it has no figure."""
    most = max((figure.n for figure in row if figure), default=0)
    return tuple(heat_cell(*pair, most) for pair in zip(columns, row, strict=True)) if most else ()


def heat_cell(column: Column, row: MetricRow | None, most: int = 0) -> HeatCell:
    """The colour of one figure; `most` is how many queries its neighbours have."""
    if row is None or not math.isfinite(row.value):
        return HeatCell(NONE, "", "none", 0)
    hue, strength = _colour(column, row.value)
    title = f"95 % interval {interval(row)}, n = {row.n:,}"
    if row.clusters:
        title += f", {row.clusters:,} cluster{'' if row.clusters == 1 else 's'}"
    fewer = row.n if row.n < most else None
    return HeatCell(number(row.metric, row.value), title, hue, round(100 * min(1.0, strength)), fewer)


def _colour(column: Column, value: float) -> tuple[Hue, float]:
    if column.better == "higher":
        return "loss", 1 - value
    if column.better == "lower":
        return "loss", value
    if column.better is None:
        return "none", 0
    lean = (value - float(column.better)) / HALF_SPAN
    # lpr counts for the query's language: with X queries a high one is X's win
    to_pivot = lean if column.better == "0" or column.query == "pivot" else -lean
    return ("pivot" if to_pivot > 0 else "other"), abs(lean)
