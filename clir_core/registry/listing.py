"""What lies below a directory or an object store's prefix, listed once, whatever it is.

Names, links and permissions are strangers': what cannot be read is noted, and keeps nothing else from being listed.
"""

import errno
import os
import stat
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from pyarrow import fs

from clir_core.errors import first_line

# of an entry that is gone by now, or of a link that leads nowhere
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Info(NamedTuple):
    """A file, or a directory, also through links. Pipes, sockets and devices are neither, and never listed."""

    path: str
    is_file: bool
    size: int
    mtime_ns: int | None


class Listing:
    """What lies below one place, by path. Each directory is listed once, however many links lead to it."""

    def __init__(self, files: fs.FileSystem, root: str) -> None:
        """Errors: those of the file system, where the place itself cannot be listed."""
        self._fs, self._is_local = files, isinstance(files, fs.LocalFileSystem)
        self.infos: dict[str, Info] = {}
        self.links: dict[str, str] = {}  # to directories that stand under another path here: that path
        self.closed: dict[str, str] = {}  # what cannot be listed, and why
        if self._is_local:
            self._walk(root)
        else:
            found = [files.get_file_info(root), *files.get_file_info(fs.FileSelector(root, recursive=True))]
            kinds = (fs.FileType.File, fs.FileType.Directory)
            self.infos = {
                one.path: Info(one.path, one.type == fs.FileType.File, one.size or 0, one.mtime_ns)
                for one in found
                if one.type in kinds
            }
        self._order, self._links = sorted(self.infos), sorted(self.links)

    def below(self, place: str) -> Iterator[Info]:
        """What lies at or below a place, not through the links below it."""
        if place in self.infos:
            yield self.infos[place]
        yield from (self.infos[path] for path in _below(place, self._order))

    def links_below(self, place: str) -> list[str]:
        """The links below a place to directories that stand under another path."""
        return _below(place, self._links)

    def open(self, path: str) -> IO[bytes]:
        """A file's bytes. Errors: OSError."""
        return Path(path).open("rb") if self._is_local else self._fs.open_input_file(path)

    def _walk(self, root: str) -> None:
        """Directories before links, so that each stands under its own name wherever it has one here."""
        real = os.path.realpath(root)
        os.scandir(root).close()  # what is wrong with the place itself is raised
        self._note(root, Path(root).stat())
        known = {real: root}
        folders, links = deque([(root, real)]), deque[str]()
        while folders or links:
            if not folders:
                link = links.popleft()
                target = os.path.realpath(link)
                if target in known:
                    self.links[link] = known[target]
                elif not is_at(real, target.rstrip("/")):  # else it leads upwards, and round in a circle
                    known[target] = link
                    folders.append((link, target))
                continue
            folder, itself = folders.popleft()
            for path in self._list(folder):
                there = f"{itself}/{name_of(path)}"
                if Path(path).is_symlink():
                    links.append(path)
                elif there in known:
                    self.links[path] = known[there]
                else:
                    known[there] = path
                    folders.append((path, there))

    def _list(self, folder: str) -> list[str]:
        """Note what lies in a directory; the directories among that, and the links to some, in order."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self._close(folder, error)
            return []
        found_folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}"
            try:
                info = entry.stat()
            except OSError as error:
                # of a directory that may be listed and not entered, once for all that lies there
                self._close(path if entry.is_symlink() else folder, error)
                continue
            if self._note(path, info):
                found_folders.append(path)
        return found_folders

    def _note(self, path: str, info: os.stat_result) -> bool:
        """Whether it is a directory."""
        is_folder = stat.S_ISDIR(info.st_mode)
        if is_folder or stat.S_ISREG(info.st_mode):
            self.infos[path] = Info(path, not is_folder, info.st_size, info.st_mtime_ns)
        return is_folder

    def _close(self, path: str, error: OSError) -> None:
        if error.errno not in _NOWHERE:
            self.closed[path] = f"cannot be listed ({error.strerror or first_line(error)})"


def is_at(path: str, place: str) -> bool:
    """Whether a path is a place, or lies below it."""
    return path == place or path.startswith(f"{place}/")


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def folder_of(path: str) -> str:
    """A path without its last part."""
    return path.rpartition("/")[0]


def _below(place: str, order: list[str]) -> list[str]:
    """Those of sorted paths that lie below a place: they are neighbours."""
    return order[bisect_left(order, f"{place}/") : bisect_left(order, f"{place}0")]  # 0 comes after /
