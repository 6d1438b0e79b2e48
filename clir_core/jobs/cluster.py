"""A Ray cluster to work on: a standing one, or a local one for the time of a run."""

import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ray

from clir_core import telemetry
from clir_core.errors import SpecError
from clir_core.jobs.private import start_local
from clir_core.jobs.scratch import inside, new_scratch
from clir_core.jobs.token import keep_token


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Attach to the cluster at `address`, or start a local one and stop it at the end. Main thread only.

    The local one listens on the loopback address, asks for the token that Ray keeps in ~/.ray/auth_token, and has its
    sockets and logs where no other user gets. SpecError where nothing answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    telemetry.switch_off()
    os.environ.setdefault("LANCE_CPU_THREADS", "2")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as stack:
        try:
            if address:
                knock(address)
                ray.init(address, **quiet)
            else:
                keep_token()
                scratch = new_scratch()
                stack.callback(shutil.rmtree, scratch, ignore_errors=True)
                start_local(inside(scratch), **quiet)
        except (OSError, ValueError) as error:
            raise SpecError(
                f"ray_address {address!r}: no Ray cluster answers there ({error}); empty starts a local one"
            ) from error
        stack.callback(ray.shutdown)
        yield


def knock(address: str) -> None:
    """OSError where nothing listens at host:port: Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition("://")[2].partition("/")[0].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def has_gpu() -> bool:
    """Whether the cluster has a GPU."""
    return ray.cluster_resources().get("GPU", 0) >= 1


def n_cpus() -> int:
    """Processors of the cluster."""
    return int(ray.cluster_resources().get("CPU", 1))


def threads_of_each(workers: int, gpu: bool) -> int | None:
    """Processors for each worker, as many as all can have on the nodes that they fit on; None where they do not fit."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]

    def fits(threads: int) -> bool:
        return sum(min(cpus // threads, gpus) if gpu else cpus // threads for cpus, gpus in slots) >= workers

    most = max((cpus for cpus, _ in slots), default=0)
    return next((threads for threads in range(most, 0, -1) if fits(threads)), None)


def unwrapped(ref: ray.ObjectRef) -> Any:
    """A task's result, or the error that the task itself raised."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def may_pass(error: object) -> bool:
    """Whether trying again can help: a worker or a node was lost. Never after an error of the work itself."""
    return isinstance(error, ray.exceptions.RayError)
