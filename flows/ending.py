"""How a command ends that starts processes: soon after a signal, with a word on what is kept, and without a trace.

A flow that is interrupted reports to its server, which the same Ctrl-C has ended, and waits for it for a minute; Ray
waits for its workers.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clir_core.workspace import reaper

SECONDS = 3.0  # from a signal to the end of this process; its children get as long


@contextmanager
def at_once(workspace: Path) -> Iterator[None]:
    """Within, SIGINT and SIGTERM end the process soon, and nothing that it starts outlives it. Main thread only."""
    # until this process is gone: at its end Prefect says its last words to its server
    os.environ[reaper.MARK] = reaper.start()
    before = signal.signal(signal.SIGTERM, _interrupt)
    # whoever else handles a signal, and Prefect and Ray do: its number comes here
    told, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_wait_for_a_signal, args=(told, workspace), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        tell.close()
        signal.signal(signal.SIGTERM, before)
        del os.environ[reaper.MARK]


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt


def _wait_for_a_signal(told: socket.socket, workspace: Path) -> None:
    with told:
        while (byte := told.recv(1)) and byte[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
    if not byte:  # the command is done
        return
    number = byte[0]
    print(
        f"\nclir: ended by {signal.Signals(number).name}. What was finished is kept in {workspace.resolve()}; the same "
        "command goes on from there.",
        file=sys.stderr,
        flush=True,
    )
    threading.Event().wait(SECONDS)
    os._exit(128 + number)
