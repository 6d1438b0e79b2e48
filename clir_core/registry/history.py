"""A family's history: its checkpoints, oldest first, with their main figures, for people and for code."""

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from clir_core.corpus.pivot import ENGLISH, pivot_first
from clir_core.registry.facts import Audited, Entry
from clir_core.scenarios import ScenarioName
from clir_core.shown import in_markdown
from clir_core.spec import Spec
from clir_core.workspace import layout

if TYPE_CHECKING:
    from clir_core.audit.result import MetricRow

# scenario, metric, and whether the query is in the pivot: None where it may be or not
FIGURES: Mapping[str, tuple[ScenarioName, str, bool | None]] = {
    "complete@10 X": ("multi", "complete@10", False),
    "complete@10 {pivot}": ("multi", "complete@10", True),
    "mono acc@1": ("mono", "acc@1", None),
}


class FamilyHistory(Spec):
    """A family's checkpoints."""

    family: str
    entries: tuple[Entry, ...]

    @property
    def pivots(self) -> tuple[str, ...]:
        """The pivots of its audits, English first, and alone where there is none."""
        pivots = (audit.pivot for entry in self.entries for audit in entry.audits)
        return pivot_first(pivots) or (ENGLISH,)

    @property
    def head(self) -> tuple[str, ...]:
        """The columns that tables show."""
        return ("found", "checkpoint", "fingerprint", "status", "outcome", *_figure_names(self.pivots))

    def rows(self) -> list[dict[str, Any]]:
        """A row a checkpoint and corpus that it was audited on; means over the languages."""
        names = _figure_names(self.pivots)
        return [_row(entry, audit, names) for entry in self.entries for audit in _latest(entry) or [None]]

    def as_markdown(self) -> str:
        """The rows as a table narrow enough for a page, what its figures are, and the newest reason."""
        head = [name for name in self.head if name != "fingerprint"]
        lines = ["| " + " | ".join(in_markdown(shown(row[name])) for name in head) + " |" for row in self.rows()]
        table = "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines])
        reasons = [(audit.at, entry.name, audit) for entry in self.entries for audit in entry.audits if audit.reason]
        newest = max(reasons, default=None, key=lambda one: one[0])
        why = ""
        if newest:
            _, name, audit = newest
            why = f"\n**{in_markdown(name)}**: {audit.outcome}. {in_markdown(audit.reason)}\n"
        return f"## {in_markdown(self.family)}\n\n{table}\n\n{_legend(self.pivots)}\n{why}"


def of_family(entries: Sequence[Entry], family: str) -> FamilyHistory:
    """The history of one family."""
    return FamilyHistory(family=family, entries=tuple(entry for entry in entries if entry.found.family == family))


def _figure_names(pivots: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.format(pivot=pivot) for name in FIGURES for pivot in pivots))


def _legend(pivots: Sequence[str]) -> str:
    from clir_core.corpus.lang import language_name

    names, asked = (map(language_name, pivots), (f"{pivot}: in {language_name(pivot)}" for pivot in pivots))
    return (
        f"complete@10: share of the queries whose {' or '.join(names)} and X versions are both among the first 10 (X: "
        f"asked in X, {', '.join(asked)}). mono acc@1: share with a relevant document first, in pools of one language. "
        "Means over the languages."
    )


def _latest(entry: Entry) -> list[Audited | None]:
    """The newest audit of every question."""
    return list({audit.asked: audit for audit in entry.audits}.values())


def _row(entry: Entry, audit: Audited | None, names: Sequence[str]) -> dict[str, Any]:
    figures = _figures(audit) if audit else {}
    return {
        "found": f"{entry.since:%Y-%m-%d}",
        "checkpoint": entry.name,
        "fingerprint": entry.checkpoint[:12],
        "status": entry.status or "",
        "outcome": audit.outcome if audit else "",
        **{name: figures.get(name) for name in names},
        "corpus": audit.corpus if audit else "",
        "reason": audit.reason if audit else "",
        "report": str(audit.out / layout.REPORT) if audit and audit.out else "",
    }


def main_figures(rows: "Sequence[MetricRow]", pivot: str = ENGLISH) -> dict[str, float]:
    """The figures that a history shows, by their names in FIGURES; without those that an audit did not ask for."""
    means = {name.format(pivot=pivot): _mean(rows, *wanted, pivot) for name, wanted in FIGURES.items()}
    return {name: mean for name, mean in means.items() if mean is not None and isfinite(mean)}


def _figures(audit: Audited) -> dict[str, float]:
    if audit.figures is not None or not audit.out:
        return audit.figures or {}
    # of a registry of before
    from clir_core.audit.result import AuditResult
    from clir_core.workspace.steps import read_result

    result = read_result(audit.out / layout.AUDIT, AuditResult)
    return main_figures(result.metrics, result.spec.pivot) if result else {}


def _mean(rows: "Sequence[MetricRow]", scenario: str, metric: str, of_pivot: bool | None, pivot: str) -> float | None:
    """Over the languages."""
    values = [
        row.value
        for row in rows
        if (row.scenario, row.metric) == (scenario, metric) and of_pivot in (None, row.query_lang == pivot)
    ]
    return round(fmean(values), 4) if values else None


def shown(value: Any) -> str:
    """A value as a table shows it."""
    from clir_core.measure.figures import NONE

    return NONE if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
