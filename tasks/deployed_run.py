"""What the process of a deployment's run needs beside its flow: patience with its server, errors without a traceback.

Prefect's clients try again where a connection breaks, but not where their first one is refused: every task opens a new
client, so a server that was killed would fail whatever runs (prefect 3.8.8).
"""

import logging
import os

from clir_core.errors import ClirError


class _Yes:
    """An attribute that is true, whatever is written to it."""

    def __get__(self, *_: object) -> bool:
        return True

    def __set__(self, *_: object) -> None:
        pass


def prepare() -> None:
    """In such a process: a refused connection is tried again, for a minute; what the user can mend is said in words."""
    if "PREFECT__FLOW_RUN_ID" not in os.environ:  # whoever calls a flow by hand is told at once
        return
    from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

    for client in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        client._has_connected = _Yes()  # type: ignore[assignment]
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(without_traceback)


def without_traceback(record: logging.LogRecord) -> bool:
    """A filter: an error that the user can mend is its message."""
    if record.exc_info and isinstance(record.exc_info[1], ClirError):
        record.exc_info = None
        record.said_at_the_end = True
    return True
