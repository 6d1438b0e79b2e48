"""Before and after, side by side: which figures an alignment is judged by, for every language, and how they changed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from clir_core.align.result import AlignResult
from clir_core.audit.figure import by_key
from clir_core.audit.holm import LEVEL
from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.pivot import ENGLISH, pivot_first
from clir_core.measure.compare import Difference
from clir_core.measure.figures import NONE, cutoff, interval, number
from clir_core.measure.metrics import metric_better
from clir_core.report.table import Cell
from clir_core.scenarios import mono, multi, scenario_named
from clir_core.scenarios.column import Column

NORM_TITLE = "How far down the later version is: 100 for both on top, 0 for last"
Kind = Literal["gain", "fall", "even"]


@dataclass(frozen=True)
class Change:
    """One figure of one language; None where an audit or the comparison lacks it."""

    lang: str
    column: Column
    before: MetricRow | None
    after: MetricRow | None
    difference: Difference | None

    @property
    def kind(self) -> Kind:
        """Better or worse beyond chance (p after Holm), or neither."""
        found = self.difference
        if found is None or not found.p_holm < LEVEL or not found.difference:
            return "even"
        return "gain" if (found.difference > 0) == (self.column.better == "higher") else "fall"

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """Before and after as they are printed."""
        return _cell(self.before), _cell(self.after)

    @property
    def drawn(self) -> tuple[MetricRow, MetricRow] | None:
        """Before and after where a chart can show both."""
        if self.before is None or self.after is None:
            return None
        rows = (self.before, self.after)
        return rows if all(math.isfinite(row.value + row.low + row.high) for row in rows) else None


@dataclass(frozen=True)
class Changes:
    """One table: its columns, each with the changes of every language in the same order."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Change, ...]], ...]

    def of(self, column: Column) -> tuple[Change, ...]:
        """The changes of one column, down the languages."""
        return tuple(cells[self.columns.index(column)] for _, cells in self.rows)


def languages(result: AlignResult, before: AuditResult) -> tuple[str, ...]:
    """English, then the audited languages that were trained, then those that were not."""
    return pivot_first(before.languages, then=result.trained.languages)


def is_trained(result: AlignResult, lang: str) -> bool:
    """English is one side of every triple."""
    return lang == ENGLISH or lang in result.trained.languages


def changes(result: AlignResult, before: AuditResult, after: AuditResult) -> tuple[Changes, ...]:
    """The tables of the page, the gate's own metric among them; those without any figure are left out."""
    old, new, paired = by_key(before.metrics), by_key(after.metrics), by_key(result.differences)

    def change(column: Column, lang: str) -> Change:
        key = column.key(lang)
        return Change(lang, column, old.get(key), new.get(key), paired.get(key))

    found = []
    for title, columns in _tables(result, cutoff(before)):
        rows = [(lang, tuple(change(column, lang) for column in columns)) for lang in languages(result, before)]
        rows = [row for row in rows if any(one.before or one.after for one in row[1])]
        if rows:
            found.append(Changes(title, columns, tuple(rows)))
    return tuple(found)


def _tables(result: AlignResult, k: int) -> Iterable[tuple[str, tuple[Column, ...]]]:
    gate = result.spec.gate
    shown = [
        (f"Both versions within the first {k}", _both_sides(multi.NAME, f"complete@{k}")),
        (NORM_TITLE, _both_sides(multi.NAME, "max_at_r_norm")),
        ("Monolingual retrieval", (_own(mono.NAME, "acc@1"), _own(mono.NAME, f"ndcg@{k}"))),
    ]
    there = {(column.scenario, column.metric) for _, columns in shown for column in columns}
    if (gate.scenario, gate.metric) not in there:
        columns = (
            _both_sides(gate.scenario, gate.metric)
            if scenario_named(gate.scenario).two_sided
            else (_own(gate.scenario, gate.metric),)
        )
        shown.insert(0, ("What the gate asks for", columns))
    return shown


def _both_sides(scenario: str, metric: str) -> tuple[Column, ...]:
    return (
        Column(f"{scenario}, X query", scenario, "x", metric, metric_better(metric)),
        Column(f"{scenario}, en query", scenario, "pivot", metric, metric_better(metric)),
    )


def _own(scenario: str, metric: str) -> Column:
    return Column(scenario, scenario, "x", metric, metric_better(metric))


def _cell(row: MetricRow | None) -> Cell:
    return Cell(number(row.metric, row.value), interval(row)) if row else Cell(NONE)
