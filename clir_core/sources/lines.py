"""Files of rows: JSON lines, a JSON array, or tab-separated columns, as they are or in gzip or zstd.

Every function yields rows with their numbers, from 1, and puts what cannot be read among the problems.
"""

import codecs
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic_core import from_json

from clir_core.errors import first_line
from clir_core.sources.json_input import unreadable
from clir_core.sources.names import NAMES, plain

_PACKED = {".gz": "gzip", ".zst": "zstd"}
_HEADS = frozenset(name for table in ("documents", "queries") for names in NAMES[table].values() for name in names)
TABLES = (".jsonl", ".json", ".tsv")


def find(folder: Path, stem: str, problems: list[str]) -> Path | None:
    """The one file of this name, in whatever form."""
    found = [
        path for ending in TABLES for pack in ("", *_PACKED) if (path := folder / f"{stem}{ending}{pack}").exists()
    ]
    if not found:
        problems.append(f"{folder / stem}.jsonl: No such file, nor as .json, .tsv or packed; a corpus needs it")
    if len(found) > 1:
        problems.append(f"{folder}: {' and '.join(path.name for path in found)} are both there; keep one")
    return found[0] if len(found) == 1 else None


def form_of(path: Path) -> str:
    """The ending that says what is inside: .jsonl of corpus.jsonl.gz."""
    return unpacked(path).suffix


def stem_of(path: Path) -> str:
    """The name without the endings: test of test.tsv.gz."""
    return unpacked(path).stem


def unpacked(path: Path) -> Path:
    """The path without .gz or .zst."""
    return path.with_suffix("") if path.suffix in _PACKED else path


def read_lines(path: Path, problems: list[str]) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, without its end."""
    try:
        with io.BufferedReader(pa.input_stream(str(path), compression=_PACKED.get(path.suffix))) as lines:
            for number, raw in enumerate(lines, start=1):
                line = (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).rstrip(b"\r\n")
                if line.strip():
                    yield number, line
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        problems.append(f"{path}: cannot be read ({reason}); fetch or write it again")


def read_rows(path: Path, headless: Sequence[str], problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row by its columns' names. Tab-separated columns have a header, or these names where they are `headless`."""
    if form_of(path) == ".tsv":
        yield from _tab_rows(path, headless, problems)
        return
    lines = read_lines(path, problems)
    first = next(lines, None)
    if first is None:
        return
    if first[1].lstrip().startswith(b"["):
        yield from _array(path, b"\n".join([first[1], *(line for _, line in lines)]), problems)
        return
    for number, line in _chain(first, lines):
        try:
            row = from_json(line.strip())
        except ValueError as error:
            # a line is JSON's line 1 whatever its number in the file
            problems.append(f"{path}, row {number}: {unreadable(str(error)).replace('line 1 column', 'column')}")
            continue
        yield from _object(path, number, row, problems)


def cells(line: str) -> list[str]:
    """A line's tab-separated cells, without quotes around them and without empty ones at its end."""
    found = [cell.strip() for cell in line.split("\t")]
    while found and not found[-1]:
        found.pop()
    return [_unquoted(cell) for cell in found]


def decoded(path: Path, number: int, line: bytes, problems: list[str]) -> str | None:
    """The line as text."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        problems.append(f"{path}, row {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8")
        return None


def _chain(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _array(path: Path, text: bytes, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        rows = from_json(text)
    except ValueError as error:
        problems.append(f"{path}: {unreadable(str(error))}")
        return
    for number, row in enumerate(rows, start=1):
        yield from _object(path, number, row, problems)


def _object(path: Path, number: int, row: object, problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(row, dict):
        yield number, row
    else:
        problems.append(f"{path}, row {number}: not an object with names, but {type(row).__name__}; write one a line")


def _tab_rows(path: Path, headless: Sequence[str], problems: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    for number, raw in read_lines(path, problems):
        line = decoded(path, number, raw, problems)
        if line is None:
            continue
        row = cells(line)
        if header is None:
            is_header = sum(plain(cell) in _HEADS for cell in row) > 1
            header = row if is_header else list(headless)
            if is_header:
                continue
        if len(row) > len(header):
            problems.append(f"{path}, row {number}: {len(row)} columns, not {len(header)}; write no tab into a text")
        else:
            yield number, dict(zip(header, row, strict=False))


def _unquoted(cell: str) -> str:
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if is_quoted else cell
