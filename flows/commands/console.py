"""A flow in this process, called from a shell: an error of the user's is said once, at the end."""

import logging
from typing import TypeVar

from clir_core.shown import on_terminal
from clir_core.spec import Spec
from tasks.deployed_run import without_traceback

S = TypeVar("S", bound=Spec)
ME = "clir"  # who enters what a run without a server found
WITHOUT_SERVER = "Without, neither Prefect nor Ray: this process does all of it, and no UI shows the run"


def spec_of(asked: Spec, kind: type[S]) -> S:
    """The spec that a command's options make."""
    return kind(**{name: getattr(asked, name) for name in kind.model_fields})


def say(text: str) -> None:
    """Print it. Names and texts in it are strangers', so no control character reaches the terminal."""
    print(on_terminal(text))


class Printable(logging.Formatter):
    """Another formatter's lines, and tracebacks, that may be printed in the same way."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return on_terminal(self._inner.format(record))


def say_steps() -> None:
    """What each step of a run without a server says goes to the console."""
    logging.basicConfig(format="%(asctime)s | %(message)s", datefmt="%H:%M:%S")
    _print_safely()
    logging.getLogger("clir_core").setLevel(logging.INFO)


def say_errors_once() -> None:
    """An error that the user can mend is shown at the end, its message alone; the rest keep their traceback.

    Prefect would say it four times over: for the task, for the flow, and for the state of each. After its import only.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(without_traceback)
    for console in logging.getLogger().handlers:
        console.addFilter(_not_said_at_the_end)
    _print_safely()


def _print_safely() -> None:
    for console in logging.getLogger().handlers:
        if not isinstance(console.formatter, Printable):
            console.setFormatter(Printable(console.formatter))


def _not_said_at_the_end(record: logging.LogRecord) -> bool:
    return not hasattr(record, "said_at_the_end") and not record.getMessage().startswith("Finished in state Failed(")
