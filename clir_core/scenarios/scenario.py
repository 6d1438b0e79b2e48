"""A scenario: a rule for pools, and all that is particular to it: what is measured, where it is shown, its titles.

A new one is a file of its name beside this one, with its SCENARIO, and its name in the list of `clir_core.scenarios`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clir_core.scenarios.column import Column
from clir_core.scenarios.metric import Metric, standard
from clir_core.scenarios.pool import Pool


def no_columns(_: int) -> tuple[Column, ...]:
    """Of a scenario that a table does not show."""
    return ()


@dataclass(frozen=True)
class Scenario:
    """All that the audit, its pages and the gate have to know of one scenario."""

    name: str
    # as sentences call its pools: "in pools of ..."
    title: str
    # what the pools hold, as the legend of the main table says behind the name
    legend: str
    # of the audit's languages, English first
    pools: Callable[[Sequence[str]], Iterable[Pool]]
    # at every cutoff
    metrics: Callable[[Sequence[int]], Sequence[Metric]] = standard
    # of the main table and of the heat map, at the cutoff that they show
    columns: Callable[[int], Sequence[Column]] = no_columns
    heat_columns: Callable[[int], Sequence[Column]] = no_columns
    # English queries are asked beside X's, of X's pools
    two_sided: bool = False
    # one pool a language and query side: what a gate can rest on
    can_gate: bool = False
    # how each query's pool differs from the documents that the result lists for all
    per_query: str | None = None
    keeps_top: bool = True
    mteb_task: str | None = None
