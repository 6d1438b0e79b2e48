"""A deadline for calls into libraries that set none of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from clir_core.errors import StoreError

T = TypeVar("T")


def within(seconds: float, place: str, call: Callable[[], T]) -> T:
    """What the call returns or raises; StoreError where it says nothing for so long. It is then left to itself."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    # a daemon: a pool's thread would keep the program from ending
    threading.Thread(target=run, daemon=True, name=f"within-{place}").start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done():
            raise
        raise StoreError(
            f"{place}: no answer for {seconds:g} s; check the address, the network and who else uses it, then run again"
        ) from error
