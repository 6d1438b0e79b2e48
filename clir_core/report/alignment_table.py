"""Before and after in a handful of columns: for the console, the model card and Prefect. The report shows more."""

from clir_core.align.result import AlignResult
from clir_core.audit.figure import by_key
from clir_core.audit.holm import LEVEL
from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH, pivot_first
from clir_core.measure.compare import Difference
from clir_core.measure.figures import NONE, number
from clir_core.measure.gate_spec import GateSpec
from clir_core.measure.metrics import metric_better
from clir_core.scenarios import mono, scenario_named
from clir_core.scenarios.column import Column, of_own
from clir_core.scenarios.metric import ACC_AT_1
from clir_core.shown import in_markdown

NOTE = (
    "Before → after. * Beyond chance (paired, by groups of questions, p < 0.05 after Holm's correction over languages)"
)
Row = tuple[str, ...]


def columns(gate: GateSpec) -> tuple[Column, ...]:
    """What the gate asks for, in both directions where there are two, and what it may cost."""
    title, asked = f"{gate.scenario} {gate.metric}", (gate.metric, metric_better(gate.metric))
    cost = of_own(mono.NAME, ACC_AT_1, f"{mono.NAME} {ACC_AT_1.name}")
    if not scenario_named(gate.scenario).two_sided:
        primary = [Column(title, gate.scenario, "x", *asked)]
    else:
        primary = [
            Column(f"{title}, X query", gate.scenario, "x", *asked),
            Column(f"{title}, en query", gate.scenario, "pivot", *asked),
        ]
    return (*(column for column in primary if column != cost), cost)


def languages(result: AlignResult) -> tuple[str, ...]:
    """Every audited language: English, then those that were trained, then the others."""
    found = [row.lang for row in result.differences if row.lang is not None]
    return pivot_first(found, then=result.trained.languages)


def labelled(result: AlignResult, lang: str) -> str:
    """'Thai (th)', and whether it was not trained."""
    trained = lang == ENGLISH or lang in result.trained.languages
    return f"{language_name(lang)} ({lang}{'' if trained else ', not trained'})"


def rows(result: AlignResult) -> tuple[Row, list[Row]]:
    """Head and one row a language, "before → after" in a cell; a star marks what differs beyond chance."""
    shown, figures = columns(result.spec.gate), by_key(result.differences)
    head = ("language", *(column.group for column in shown))
    found = [
        (labelled(result, lang), *(_cell(figures.get(column.key(lang))) for column in shown))
        for lang in languages(result)
    ]
    return head, [row for row in found if set(row[1:]) != {NONE}]


def as_markdown(result: AlignResult) -> str:
    """The table for a Prefect artifact and the model card."""
    head, found = rows(result)
    rule = ("---", *["---:"] * (len(head) - 1))
    cells = [[*map(in_markdown, head)], rule, *([*map(in_markdown, row)] for row in found)]
    table = "".join("| " + " | ".join(row) + " |\n" for row in cells)
    return f"{table}\n{in_markdown(NOTE)}\n"


def as_text(result: AlignResult) -> str:
    """The table for a terminal."""
    head, found = rows(result)
    wide = [max(map(len, column)) for column in zip(head, *found, strict=True)]
    lines = (
        row[0].ljust(wide[0]) + "".join(f"   {cell:>{width}}" for cell, width in zip(row[1:], wide[1:], strict=True))
        for row in (head, *found)
    )
    return "\n".join([*(line.rstrip() for line in lines), "", NOTE])


def _cell(row: Difference | None) -> str:
    if row is None:
        return NONE
    star = "*" if row.p_holm < LEVEL and row.difference else " "
    return f"{number(row.metric, row.before)} → {number(row.metric, row.after)}{star}"
