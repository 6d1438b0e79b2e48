"""A column of a table: which figure it shows of each language."""

from dataclasses import dataclass
from typing import Literal

from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.label import Key
from clir_core.scenarios.metric import Better, Metric


@dataclass(frozen=True)
class Column:
    """Which figure a column shows. `query` is the language of its queries: x is the row's, None compares both."""

    group: str
    scenario: str
    query: Literal["x", "en"] | None
    metric: str
    better: Better | None

    def key(self, lang: str) -> Key:
        """The figure in the row of a language."""
        query = lang if self.query == "x" else ENGLISH if self.query else None
        return (self.scenario, query, lang, self.metric)


def of_own(scenario: str, metric: Metric, group: str = "") -> Column:
    """A figure of X's queries; the group is called as the scenario if not otherwise."""
    return Column(group or scenario, scenario, "x", metric.name, metric.better)


def of_english(scenario: str, metric: Metric, group: str) -> Column:
    """A figure of English queries beside X."""
    return Column(group, scenario, "en", metric.name, metric.better)
