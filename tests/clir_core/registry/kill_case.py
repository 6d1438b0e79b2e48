"""Kills a writer at every instruction of SQLite in turn: a child process each, for programs that a test starts."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

MOST = 1000


def deaths(act: Callable[[int], object]) -> Iterator[tuple[int, bool]]:
    """Let child after child act, killed one instruction later each. Yields each child's number and whether it lived."""
    for number in range(1, MOST):
        child = os.fork()
        if not child:
            _count_down(number)
            act(number)
            os._exit(0)
        lived = os.waitpid(child, 0)[1] == 0
        yield number, lived
        if lived:
            return


def _count_down(left: int) -> None:
    connect = sqlite3.connect

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def counting(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_progress_handler(count, 1)
        return connection

    sqlite3.connect = counting  # type: ignore[assignment]
