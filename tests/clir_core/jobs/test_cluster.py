"""Whether anything listens where a standing cluster should be."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clir_core.jobs.cluster import knock


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "ray://127.0.0.1:{}/namespace"])
def test_an_address_where_nothing_listens_fails_at_once(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        knock(form.format(port))
    with pytest.raises(OSError, match="refused"):
        knock(form.format(port))


def test_names_that_ray_resolves_itself_are_left_to_it() -> None:
    knock("auto")
    knock("local")


def test_a_local_cluster_listens_on_the_loopback_address_alone(ray_cluster: None) -> None:
    """Of every socket that the session's processes listen on."""
    if not shutil.which("ss"):
        pytest.skip("ss, of iproute2, is not here")
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    family = set(_family(os.getpid()))
    ours = [line.split()[3] for line in listening if family & {int(pid) for pid in re.findall(r"pid=(\d+)", line)}]
    assert ours and all(re.match(r"(127\.0\.0\.1|\[::ffff:127\.0\.0\.1\]|\[::1\]):", one) for one in ours), ours


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _family(int(child))
