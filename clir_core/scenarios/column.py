"""A column of a table: which figure it shows of each language."""

from dataclasses import dataclass
from typing import Literal

from clir_core.corpus.pivot import ENGLISH
from clir_core.scenarios.label import Key
from clir_core.scenarios.metric import Better, Metric


@dataclass(frozen=True)
class Column:
    """Which figure a column shows. `query` is the language of its queries: x is the row's, None compares both."""

    group: str
    scenario: str
    query: Literal["x", "pivot"] | None
    metric: str
    better: Better | None
    pivot: str = ENGLISH

    def key(self, lang: str) -> Key:
        """The figure in the row of a language."""
        query = lang if self.query == "x" else self.pivot if self.query else None
        return (self.scenario, query, lang, self.metric)


def of_own(scenario: str, metric: Metric, group: str = "") -> Column:
    """A figure of X's queries; the group is called as the scenario if not otherwise."""
    return Column(group or scenario, scenario, "x", metric.name, metric.better)


def of_pivot(scenario: str, metric: Metric, group: str, pivot: str) -> Column:
    """A figure of the pivot's queries beside X."""
    return Column(group, scenario, "pivot", metric.name, metric.better, pivot)
