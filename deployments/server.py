"""Prefect's server: `python -m deployments.server`, with the options of `prefect server start`.

With SQLite that server loses events and stands still for a minute, both because SQLite has one writer at a time:

- Most transactions read, then write. SQLite turns one away if another writer came in between: a request is tried again
  seconds later, and an automation's event is dropped after four tries within milliseconds, so that a crashed run would
  not start again. Here they ask to write when they begin, and wait.
- A statement that was turned away stays in its traceback until Python collects it. Where that happened in the event
  loop, while its connection waited for the writer, the loop waited for the connection and the writer for the loop.
  Here a thread of its own collects.
"""

import gc
import runpy
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

SECONDS_TO_START = 30
SECONDS_BETWEEN = 5


class OneWriter(AioSqliteConfiguration):
    """SQLite, whose transactions may write from their begin."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncIterator[AsyncSessionTransaction]:
        """Whoever asks."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def collect() -> None:
    """For ever; may wait for a connection, and nobody waits for it."""
    time.sleep(SECONDS_TO_START)
    gc.freeze()  # what was imported stays: from now on there is little to go through
    while True:
        gc.collect()
        time.sleep(SECONDS_BETWEEN)


def main() -> None:
    """Become Prefect's server."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        set_database_config(OneWriter(url))
    gc.disable()
    threading.Thread(target=collect, name="garbage", daemon=True).start()
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
