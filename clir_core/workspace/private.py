"""A workspace is its owner's alone: no other user of the machine may list, read or change what lies in it.

Folders say so: who may not enter the first reaches nothing below. A result that was asked for elsewhere (`out`) is as
open as the user's umask leaves it.
"""

import contextlib
import os
import stat
from pathlib import Path

from clir_core.workspace import layout
from clir_core.workspace.storage import explained

OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_FOLDER, OWN_FILE = 0o700, 0o600


def close(workspace: Path) -> None:
    """Make the workspace, or take from others what they may do in one that is there. StoreError where it cannot be."""
    with explained(workspace):
        if not workspace.exists():
            workspace.parent.mkdir(parents=True, exist_ok=True)
            workspace.mkdir(OWN_FOLDER, exist_ok=True)
        # one that is somebody else's, as a volume may be, or is read-only, stays as it is; a sticky one is for all
        if not workspace.stat().st_mode & stat.S_ISVTX:
            with contextlib.suppress(OSError):
                close_file(workspace.resolve())
        # secrets lie in these: whoever was let into the workspace stays out
        for folder in (layout.prefect(workspace), layout.service(workspace)):
            for place, _, files in os.walk(folder):
                for path in (Path(place), *(Path(place) / name for name in files)):
                    with contextlib.suppress(FileNotFoundError):
                        close_file(path)


def close_file(path: Path) -> None:
    """Take from others what they may do with a file or a folder."""
    mode = path.lstat().st_mode
    if mode & OTHERS and not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) & ~OTHERS)
