"""Whether files hold what their names promise, read through once. Nothing heavy is imported before there is one."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from clir_core.errors import first_line
from clir_core.workspace.damage import is_aside
from clir_core.workspace.layout import SUMS
from clir_core.workspace.sums import changed_files


def damaged_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file at or below a place that cannot be read as what it is called, or was changed, and why."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    broken = dict(_unreadable(files))
    for sums in (file for file in files if file.name == SUMS):
        try:
            broken = {**dict(changed_files(sums)), **broken}
        except ValueError:
            broken[sums] = "not a list of checksums"
    yield from broken.items()


def _unreadable(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for file in files:
        check = CHECKS.get(file.suffix)
        if check and file.is_file() and not is_aside(file):
            try:
                check(file)
            except Exception as error:  # whatever a library says of junk
                yield file, first_line(error)


def _parquet(file: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        for _ in opened.iter_batches():
            pass


def _json(file: Path) -> None:
    json.loads(file.read_bytes())


def _safetensors(file: Path) -> None:
    """By its head alone, which says where each tensor ends: weights are large."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > file.stat().st_size:
            raise ValueError("its head is cut off, or none")
        head = json.loads(opened.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
    if (wanted := 8 + length + max(ends, default=0)) != file.stat().st_size:
        raise ValueError(f"{file.stat().st_size:,} bytes, and {wanted:,} belong to it")


CHECKS: Mapping[str, Callable[[Path], None]] = {".parquet": _parquet, ".json": _json, ".safetensors": _safetensors}
