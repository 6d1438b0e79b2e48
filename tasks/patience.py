"""A run of a deployment waits for a server that starts anew.

Prefect's clients try again where a connection breaks, but not where their first one is refused: every task opens a new
client, so a server that was killed would fail whatever runs (prefect 3.8.8).
"""

import os


class _Yes:
    """An attribute that is true, whatever is written to it."""

    def __get__(self, *_: object) -> bool:
        return True

    def __set__(self, *_: object) -> None:
        pass


def wait_for_the_server() -> None:
    """In the process of a deployment's run: from now on a refused connection is tried again, for a minute."""
    if "PREFECT__FLOW_RUN_ID" not in os.environ:  # whoever calls a flow by hand is told at once
        return
    from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

    for client in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        client._has_connected = _Yes()  # type: ignore[assignment]
