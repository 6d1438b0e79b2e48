"""Another user of this machine, who tries what can be tried with files, folders and sockets that are not theirs."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# a program: paths in, what it could do with them out. It becomes the other user itself, who may not even start Python
TRIES = f"""
import os, socket, stat, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
def tried(what, path, do):
    try:
        do()
    except OSError:
        return
    print(what, path)
def leave(path):
    os.close(os.open(path + "/.was-here", os.O_CREAT | os.O_WRONLY))
    os.unlink(path + "/.was-here")
def move(path):
    os.rename(path, path + ".moved")
    os.rename(path + ".moved", path)
for path in sys.stdin.read().split("\\0"):
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = 0
    if stat.S_ISSOCK(mode):
        tried("connect", path, lambda: socket.socket(socket.AF_UNIX).connect(path))
    elif stat.S_ISDIR(mode):
        tried("list", path, lambda: os.listdir(path))
        tried("write", path, lambda: leave(path))
    else:
        tried("read", path, lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
        tried("write", path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    tried("rename", path, lambda: move(path))
"""


def doors(*places: Path, beside: Iterable[Path] = ()) -> list[str]:
    """What another user can do with these and all that lies below them, as 'read /a/path'; links are not followed.

    Everybody is let through the folders above a place; to what is `beside` them the way is as it is.
    """
    paths = [str(path) for place in places for path in (place, *_below(place))] + [str(path) for path in beside]
    with reachable(place.parent for place in places):
        done = subprocess.run(
            [sys.executable, "-I", "-c", TRIES],
            input="\0".join(paths),
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.splitlines()


@contextmanager
def reachable(places: Iterable[Path]) -> Iterator[None]:
    """Let everybody through the folders above: pytest's own are closed, and would hide what is open below."""
    with ExitStack() as stack:
        for folder in {above for place in places for above in (place, *place.parents)}:
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
                stack.callback(folder.chmod, mode)
        yield


def _below(place: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(place):
        yield from (Path(folder) / name for name in (*folders, *files))
