"""The steps of a run as Prefect tasks: named, tried again where a worker was lost, with progress in the UI."""

from collections.abc import Callable
from typing import TypeVar, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from clir_core.runs.runner import Runner, said_by
from clir_core.workspace.progress import Bars, Progress
from tasks.step import step

T = TypeVar("T")


class PrefectRunner(Runner):
    """Carries out each step as a task of the flow run that this is called in."""

    def carry_out(self, name: str, work: Callable[[], T], told: Callable[[T], str] | None, retries: int) -> T:
        """The task's result."""
        return step(name, retries)(lambda: Runner.carry_out(self, name, work, told, 0))()

    def say(self, text: str) -> None:
        """A line for the log."""
        say(text)

    def bars(self, doing: Callable[[str], str]) -> Bars:
        """Lines in the log and a bar in the UI."""
        return lambda name: self._bar(name, doing(name))

    def _bar(self, key: str, doing: str) -> Progress:
        artifact = cast(UUID, create_progress_artifact(progress=0.0, key=key, description=doing))

        def show(percent: float) -> None:
            update_progress_artifact(artifact, progress=percent)

        return said_by(self.say, doing, show)


def say(text: str) -> None:
    """A line in the log of the task run, or of the flow run."""
    get_run_logger().info("%s", text)
