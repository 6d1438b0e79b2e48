"""Before and after in a handful of columns: for the console, the model card and Prefect. The report shows more."""

from collections.abc import Iterator
from dataclasses import dataclass

from clir_core.align.result import AlignResult
from clir_core.align.spec import GateSpec
from clir_core.compare import Difference
from clir_core.corpus import ENGLISH
from clir_core.gate import LEVEL, TWO_SIDED
from clir_core.lang import language_name
from clir_core.report.table import NONE, number

NOTE = "* differs beyond chance (paired randomisation test, p < 0.05 after Holm's correction over the languages)"
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
        wanted = (self.scenario, ENGLISH if self.english_query else lang, lang, self.metric)
        keys = ((row.scenario, row.query_lang, row.lang, row.metric) for row in result.differences)
        return next((row for row, key in zip(result.differences, keys, strict=True) if key == wanted), None)


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
    found = {row.lang for row in result.differences if row.lang is not None}
    return tuple(sorted(found, key=lambda lang: (lang != ENGLISH, lang not in result.trained.languages, lang)))


def labelled(result: AlignResult, lang: str) -> str:
    """'Thai (th)', and whether it was not trained."""
    trained = lang == ENGLISH or lang in result.trained.languages
    return f"{language_name(lang)} ({lang}{'' if trained else ', not trained'})"


def rows(result: AlignResult) -> tuple[Row, list[Row]]:
    """Head and one row a language; before and after of a figure are neighbours, a star marks what is beyond chance."""
    shown = figures(result.spec.gate)
    head = ("language", *(f"{figure.title}: {when}" for figure in shown for when in ("before", "after")))
    found = [
        (labelled(result, lang), *(cell for figure in shown for cell in _cells(figure.find(result, lang))))
        for lang in languages(result)
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
    titles = [figure.title for figure in figures(result.spec.gate)]
    body = [("language", *(title.rpartition(": ")[2] for title in head[1:])), *found]
    wide = [max(map(len, column)) for column in zip(*body, strict=True)]
    pairs = [
        max(wide[at] + 2 + wide[at + 1], len(title)) for at, title in zip(range(1, len(head), 2), titles, strict=True)
    ]
    top = "".join([" " * wide[0], *(f"   {title:>{width}}" for title, width in zip(titles, pairs, strict=True))])
    return "\n".join([top, *_aligned(body, wide, pairs), "", NOTE])


def _aligned(body: list[Row], wide: list[int], pairs: list[int]) -> Iterator[str]:
    for label, *cells in body:
        joined = [
            f"{cells[at].rjust(wide[at + 1])}  {cells[at + 1].rjust(wide[at + 2])}" for at in range(0, len(cells), 2)
        ]
        shown = (f"   {cell:>{width}}" for cell, width in zip(joined, pairs, strict=True))
        yield label.ljust(wide[0]) + "".join(shown).rstrip()


def _cells(row: Difference | None) -> tuple[str, str]:
    if row is None:
        return NONE, NONE
    star = "*" if row.p_holm < LEVEL and row.difference else " "
    return number(row.metric, row.before), number(row.metric, row.after) + star
