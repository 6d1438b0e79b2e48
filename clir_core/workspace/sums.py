"""SHA256SUMS: what every file of a folder held when it was written, as `sha256sum --check` reads it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from clir_core.workspace.layout import LOCK, SUMS


def write_sums(folder: Path) -> None:
    """List every file at or below a folder, whose names are plain."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in (SUMS, LOCK))
    lines = [f"{_sum(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def changed_files(sums: Path) -> Iterator[tuple[Path, str]]:
    """Every file that holds something else than when its folder's SUMS was written, and why; one that went is not told.

    ValueError where the list cannot be read.
    """
    for line in sums.read_text("utf-8").splitlines():
        written, name = line.split("  ", 1)
        file = sums.parent / name
        if file.is_file() and _sum(file) != written:
            yield file, f"its content is not what was written, says {sums.name}"


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
