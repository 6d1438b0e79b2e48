"""What killed runs left behind: temporary folders, and steps that nobody goes on with."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from clir_core.workspace import layout
from clir_core.workspace.atomic import BEFORE, OLD, UNFINISHED
from clir_core.workspace.damage import Finding, is_aside
from clir_core.workspace.layout import LOCK, RESULT
from clir_core.workspace.locks import is_held

DAY = 24 * 3600.0  # seconds without a change, after which a temporary folder is nobody's
# of NAME, by `write_file` and `write_folder`; of a folder's files, by `write_together`
TEMPORARY = re.compile(rf"\..+~\w{{8}}|{re.escape(UNFINISHED)}\w{{8}}")


def leftovers(workspace: Path) -> Iterator[Finding]:
    """Temporary folders of killed writes, and how much there is of what was begun or moved aside."""
    old = [place for place in _walk(workspace) if TEMPORARY.fullmatch(place.name) and _age(place) > DAY]
    for folder in old:
        for kept, place in _out_of_place(folder):
            yield Finding(
                f"{place}: was taken out of its place by a write that was cut off, and lies in {kept}",
                "put it back",
                partial(_put_back, kept, place),
            )
    if rest := [folder for folder in old if not list(_out_of_place(folder))]:
        yield Finding(
            f"{workspace}: {_amount(rest)} in temporary folders that killed writes left, older than a day",
            "remove them",
            partial(_remove, rest),
            is_damage=False,
        )
    steps = [step for step in layout.steps(workspace).glob("*") if not is_aside(step)]
    if begun := [step for step in steps if not (step / RESULT).exists() and not is_held(step / LOCK)]:
        said = f"{layout.steps(workspace)}: {_amount(begun)} in steps that were begun, and that nobody is at"
        yield Finding(said, "the same runs go on with them; what nobody wants can be removed", is_damage=False)
    if aside := [place for place in _walk(workspace) if is_aside(place)]:
        said = f"{workspace}: {_amount(aside)} in damaged files that were moved aside"
        yield Finding(said, "they can be removed once nobody misses them", is_damage=False)


def _out_of_place(folder: Path) -> Iterator[tuple[Path, Path]]:
    """What a write had moved out of the way, and its place, where nothing has come there."""
    if folder.name.startswith(UNFINISHED):
        pairs = [(kept, folder.parent / kept.name.removeprefix(OLD)) for kept in folder.glob(f"{OLD}*")]
    else:
        pairs = [(kept, folder.parent / folder.name[1:-9]) for kept in folder.glob(BEFORE)]
    return ((kept, place) for kept, place in pairs if not place.exists())


def _walk(workspace: Path) -> Iterator[Path]:
    """Files and folders, but for what is inside of tables, and inside of what is temporary or aside."""
    for here, folders, files in os.walk(workspace):
        yield from (Path(here, name) for name in (*folders, *files))
        folders[:] = [
            name
            for name in folders
            if not (name.endswith(".lance") or TEMPORARY.fullmatch(name) or is_aside(Path(name)))
        ]


def _inside(place: Path) -> Iterator[os.stat_result]:
    yield place.lstat()
    yield from (path.lstat() for path in place.rglob("*"))


def _age(folder: Path) -> float:
    """Seconds since anything in it changed; none where it goes away meanwhile."""
    try:
        return time.time() - max(found.st_mtime for found in _inside(folder))
    except FileNotFoundError:
        return 0.0


def _amount(places: Sequence[Path]) -> str:
    size = sum(found.st_size for place in places for found in _inside(place))
    return f"{size / 2**20:.1f} MiB ({len(places)})"


def _put_back(kept: Path, place: Path) -> str:
    kept.rename(place)
    return f"put back {place}"


def _remove(folders: Sequence[Path]) -> str:
    amount = _amount(folders)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return f"removed {amount}"
