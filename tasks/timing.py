"""How long the steps of a flow take."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Timings(dict[str, float]):
    """Seconds by step; 0 for a step that was done before."""

    def timed(self, name: str, step: Callable[..., T], *values: object) -> T:
        """The step's result."""
        started = time.monotonic()
        found = step(*values)
        self[name] = round(time.monotonic() - started, 3)
        return found

    def kept(self, name: str, step: Callable[..., tuple[T, bool]], *values: object) -> tuple[T, bool]:
        """The result of a step that says whether it was done before, and that."""
        found, done_before = self.timed(name, step, *values)
        if done_before:
            self[name] = 0.0
        return found, done_before
