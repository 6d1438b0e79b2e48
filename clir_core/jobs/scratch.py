"""Where a Ray cluster keeps its sockets and logs. Imports no Ray, as `token`."""

import os
import stat
import sys
import tempfile
from pathlib import Path

from clir_core.workspace.private import OTHERS
from clir_core.workspace.reaper import temporary_prefix

SESSION = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
LONGEST = 107  # a socket's path


def new_scratch() -> Path:
    """A new folder that no other user enters: Ray's own, `inside` of it, is one in which everybody may write (0777).

    Below TMPDIR, or below /tmp where that is too long for sockets.
    """
    folder = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
    if len(str(inside(folder))) + SESSION <= LONGEST:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir="/tmp"))


def is_own(folder: Path) -> bool:
    """Whether it is there, this user's and closed: temporary folders are cleared, and a name can be taken by others."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS


def python_for(scratch: Path) -> str:
    """This very Python by a plain way: Ray has a shell start it, which makes something else of spaces and quotes."""
    python, way = Path(sys.executable), scratch / "python"
    way.unlink(missing_ok=True)
    way.symlink_to(python.parents[1])  # the environment's folder, by which Python finds its packages
    return str(way / python.parent.name / python.name)


def inside(scratch: Path) -> Path:
    """What Ray is given."""
    return scratch / "ray"
