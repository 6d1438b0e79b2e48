"""Scenarios: which pools an audit ranks golds in. The one list of their names; each is an object in a file of its name.

Imports nothing heavy: forms and command lines ask for the names, and a scenario's file is read when it is needed.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Literal, get_args

from clir_core.corpus.pivot import ENGLISH

if TYPE_CHECKING:
    from clir_core.scenarios.pool import Pool
    from clir_core.scenarios.scenario import Scenario

ScenarioName = Literal["mono", "cross", "multi", "distractor", "share", "nway"]
SCENARIOS: tuple[ScenarioName, ...] = get_args(ScenarioName)


def scenario_named(name: str) -> "Scenario":
    """The scenario of this name, from its file. KeyError where the list has none."""
    if name not in SCENARIOS:
        raise KeyError(f"{name} is no scenario; there are {', '.join(SCENARIOS)}")
    return import_module(f"{__name__}.{name}").SCENARIO


def every_scenario() -> "tuple[Scenario, ...]":
    """All of them, in the order of the list."""
    return tuple(map(scenario_named, SCENARIOS))


def pools(names: Sequence[ScenarioName], languages: Sequence[str], pivot: str = ENGLISH) -> "tuple[Pool, ...]":
    """Every pool that the scenarios ask for; languages with the pivot first."""
    return tuple(pool for name in names for pool in scenario_named(name).pools(languages, pivot))
