"""Who carries out the steps of a run: here and now, one after the other. `tasks/` has one that makes Prefect tasks."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from clir_core.workspace.progress import Bars, Progress

log = logging.getLogger(__name__)
SECONDS_BETWEEN = 5.0
T = TypeVar("T")


class Runner:
    """Carries out steps, says what came of each, and keeps their times: `timings`, seconds; 0 for one done before."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    def step(self, name: str, work: Callable[[], T], told: Callable[[T], str] | None = None, retries: int = 0) -> T:
        """The work's result; `told` puts it into words for the log, and retries are for lost workers alone."""
        return self.timed(name, lambda: self.carry_out(name, work, told, retries))

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """The work's result, of what is a run of its own and no step."""
        started = time.monotonic()
        found = work()
        self.timings[name] = round(time.monotonic() - started, 3)
        return found

    def once(
        self, name: str, work: Callable[[], tuple[T, bool]], told: Callable[[T], str] | None = None, retries: int = 0
    ) -> T:
        """The same for a step that says, beside its result, whether it was done before."""

        def say(result: tuple[T, bool]) -> str:
            return told(result[0]) if told else "done before: the finished result is used" if result[1] else ""

        found, done_before = self.step(name, work, say, retries)
        if done_before:
            self.timings[name] = 0.0
        return found

    def carry_out(self, name: str, work: Callable[[], T], told: Callable[[T], str] | None, retries: int) -> T:
        """Do it: nothing here loses a worker, so nothing is tried again."""
        found = work()
        if told and (text := told(found)):
            self.say(text)
        return found

    def say(self, text: str) -> None:
        """A line for the log."""
        log.info("%s", text)

    def bars(self, doing: Callable[[str], str]) -> Bars:
        """Bars of a step; `doing` says what one of this name counts: 'embedding query texts'."""
        return lambda name: said_by(self.say, doing(name))


def said_by(say: Callable[[str], None], doing: str, seen: Callable[[float], None] | None = None) -> Progress:
    """Progress as a line every few seconds, with the time that is left; `seen` gets the percentage."""
    started = told = time.monotonic()
    ended = False

    def progress(done: int, total: int) -> None:
        nonlocal told, ended
        now = time.monotonic()
        if now - told < SECONDS_BETWEEN and (done < total or ended):
            return
        told, ended = now, done >= total
        # nothing is known of the rest before the first unit, nor where there are none
        amount = f"{done:,} of {total:,}, " if total else ""
        left = f", {(now - started) / done * (total - done):.0f} s left" if done else ""
        say(f"{doing}: {amount}{now - started:.0f} s spent{left}")
        if seen:
            seen(100.0 * done / total if total else 100.0)

    return progress
