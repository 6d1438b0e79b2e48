"""A scenario: a rule for pools, and all that is particular to it: what is measured, where it is shown, its titles.

A new one is a file of its name beside this one, with its SCENARIO, and its name in the list of `clir_core.scenarios`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from clir_core.corpus.lang import language_name
from clir_core.scenarios.column import Column
from clir_core.scenarios.metric import Metric, standard
from clir_core.scenarios.pool import Pool


def no_columns(_: int, pivot: str) -> tuple[Column, ...]:
    """Of a scenario that a table does not show."""
    return ()


def usual_metrics(cutoffs: Sequence[int], pivot: str) -> tuple[Metric, ...]:
    """Those of every pool, whatever the pivot."""
    return standard(cutoffs)


@dataclass(frozen=True)
class Scenario:
    """All that the audit, its pages and the gate have to know of one scenario; in texts {pivot} is its language."""

    name: str
    # as sentences call its pools: "in pools of ..."
    title: str
    # what the pools hold, as the legend of the main table says behind the name
    legend: str
    # of the audit's languages, the pivot first, and of the pivot
    pools: Callable[[Sequence[str], str], Iterable[Pool]]
    # at every cutoff, beside the pivot
    metrics: Callable[[Sequence[int], str], Sequence[Metric]] = usual_metrics
    # of the main table and of the heat map, at the cutoff that they show, beside the pivot
    columns: Callable[[int, str], Sequence[Column]] = no_columns
    heat_columns: Callable[[int, str], Sequence[Column]] = no_columns
    # the pivot's queries are asked beside X's, of X's pools
    two_sided: bool = False
    # one pool a language and query side: what a gate can rest on
    can_gate: bool = False
    # how each query's pool differs from the documents that the result lists for all
    per_query: str | None = None
    keeps_top: bool = True
    mteb_task: str | None = None

    def beside(self, pivot: str) -> "Scenario":
        """The same with the pivot's name in its texts."""
        name = language_name(pivot)
        return replace(
            self,
            title=self.title.format(pivot=name),
            legend=self.legend.format(pivot=name),
            per_query=self.per_query and self.per_query.format(pivot=name),
        )
