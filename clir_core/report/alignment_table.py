"""Before and after in a handful of columns: for the console, the model card and Prefect. The report shows more."""

from dataclasses import dataclass

from clir_core.align.result import AlignResult
from clir_core.audit.figure import by_key
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import ENGLISH, english_first
from clir_core.measure.compare import Difference
from clir_core.measure.figures import NONE, number
from clir_core.measure.gate import LEVEL, TWO_SIDED
from clir_core.measure.gate_spec import GateSpec

NOTE = "Before → after. * Beyond chance (paired randomisation, p < 0.05 after Holm's correction over the languages)"
Row = tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One figure of every language. `english_query` asks English queries; else it is X's own."""

    title: str
    scenario: str
    metric: str
    english_query: bool = False

    def find(self, result: AlignResult, lang: str) -> Difference | None:
        """This figure of one language."""
        key = (self.scenario, ENGLISH if self.english_query else lang, lang, self.metric)
        return by_key(result.differences).get(key)


def figures(gate: GateSpec) -> tuple[Figure, ...]:
    """What the gate asks for, in both directions where there are two, and what it may cost."""
    title = f"{gate.scenario} {gate.metric}"
    primary = [Figure(f"{title}, X query" if gate.scenario in TWO_SIDED else title, gate.scenario, gate.metric)]
    if gate.scenario in TWO_SIDED:
        primary.append(Figure(f"{title}, en query", gate.scenario, gate.metric, english_query=True))
    cost = Figure("mono acc@1", "mono", "acc@1")
    return (*(figure for figure in primary if figure != cost), cost)


def languages(result: AlignResult) -> tuple[str, ...]:
    """Every audited language: English, then those that were trained, then the others."""
    found = [row.lang for row in result.differences if row.lang is not None]
    return english_first(found, result.trained.languages)


def labelled(result: AlignResult, lang: str) -> str:
    """'Thai (th)', and whether it was not trained."""
    trained = lang == ENGLISH or lang in result.trained.languages
    return f"{language_name(lang)} ({lang}{'' if trained else ', not trained'})"


def rows(result: AlignResult) -> tuple[Row, list[Row]]:
    """Head and one row a language, "before → after" in a cell; a star marks what differs beyond chance."""
    shown = figures(result.spec.gate)
    head = ("language", *(figure.title for figure in shown))
    found = [
        (labelled(result, lang), *(_cell(figure.find(result, lang)) for figure in shown)) for lang in languages(result)
    ]
    return head, [row for row in found if set(row[1:]) != {NONE}]


def as_markdown(result: AlignResult) -> str:
    """The table for a Prefect artifact and the model card."""
    head, found = rows(result)
    rule = ("---", *["---:"] * (len(head) - 1))
    table = "".join("| " + " | ".join(cell.strip() for cell in row) + " |\n" for row in (head, rule, *found))
    return f"{table}\n{NOTE}\n".replace("*", "\\*")


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
