"""The main table: one row a language, a handful of figures with their intervals, for the page and for plain text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clir_core.audit.figure import by_key
from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.lang import language_name
from clir_core.measure.figures import NONE, cutoff, interval, number
from clir_core.scenarios import every_scenario
from clir_core.scenarios.column import Column
from clir_core.shown import in_markdown

GAP = 2


@dataclass(frozen=True)
class Cell:
    """One figure as it is printed. Empty interval where there is no figure; `fewer` is its n where others have more."""

    value: str
    interval: str = ""
    fewer: int | None = None

    @property
    def sure(self) -> str:
        """The interval, and the n that must stand beside it."""
        return ", ".join(filter(None, (self.interval, f"n {self.fewer:,}" if self.fewer is not None else "")))


def columns(k: int, pivot: str) -> tuple[Column, ...]:
    """The main table's columns, scenario by scenario; neighbours of one group together."""
    return tuple(column for scenario in every_scenario() for column in scenario.columns(k, pivot))


@dataclass(frozen=True)
class Summary:
    """The main table: columns that hold at least one figure, and each language's cells in their order."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def summary(result: AuditResult) -> Summary:
    """The main table of a result."""
    figures = by_key(result.metrics)
    wanted = columns(cutoff(result), result.spec.pivot)
    filled = [column for column in wanted if any(column.key(lang) in figures for lang in result.languages)]
    found = {lang: [figures.get(column.key(lang)) for column in filled] for lang in result.languages}
    return Summary(tuple(filled), tuple((lang, _cells(row)) for lang, row in found.items()))


def summary_rows(result: AuditResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows as strings, an interval in brackets behind its value."""
    table = summary(result)
    head = ("language", *(f"{column.group}: {column.metric}" for column in table.columns))
    rows = [
        (_label(lang), *(f"{cell.value} ({cell.sure})" if cell.sure else cell.value for cell in cells))
        for lang, cells in table.rows
    ]
    return head, rows


def as_markdown(result: AuditResult) -> str:
    """The main table for a Prefect artifact or a pull request."""
    head, rows = summary_rows(result)
    rule = ["---", *["---:"] * (len(head) - 1)]
    cells = [[*map(in_markdown, head)], rule, *([*map(in_markdown, row)] for row in rows)]
    return "".join("| " + " | ".join(row) + " |\n" for row in cells)


def as_text(result: AuditResult, width: int = 120) -> str:
    """The main table for a terminal, intervals and n below their values.

    Where it is wider than the terminal it goes on below, with the languages again.
    """
    table = summary(result)
    languages = ["", "language", *(part for lang, _ in table.rows for part in (_label(lang), ""))]
    stacks = []
    for at, column in enumerate(table.columns):
        cells = [row[at] for _, row in table.rows]
        stacks.append([column.group, column.metric, *(part for cell in cells for part in (cell.value, cell.sure))])
    return "\n".join(_block(languages, block) for block in _fitting(stacks, width - _wide(languages)))


def _fitting(stacks: list[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Neighbouring columns as they fit; one that is too wide alone stands alone."""
    block: list[list[str]] = []
    for stack in stacks:
        if block and sum(GAP + _wide(other) for other in [*block, stack]) > width:
            yield block
            block = []
        block.append(stack)
    yield block


def _block(languages: list[str], stacks: list[list[str]]) -> str:
    aligned = [[cell.ljust(_wide(languages)) for cell in languages]]
    aligned += [[cell.rjust(GAP + _wide(stack)) for cell in stack] for stack in stacks]
    lines = ["".join(cells).rstrip() for cells in zip(*aligned, strict=True)]
    return "".join(f"{line}\n" for line in lines if line)


def _wide(stack: list[str]) -> int:
    return max(len(cell) for cell in stack)


def _cells(rows: Sequence[MetricRow | None]) -> tuple[Cell, ...]:
    """A language's figures: what is of fewer of its queries than the others says of how many."""
    most = max((row.n for row in rows if row), default=0)
    return tuple(_cell(row, most) for row in rows)


def _cell(row: MetricRow | None, most: int) -> Cell:
    if row is None or not math.isfinite(row.value):
        return Cell(NONE)
    return Cell(number(row.metric, row.value), interval(row), row.n if row.n < most else None)


def _label(lang: str) -> str:
    return f"{language_name(lang)} ({lang})"
