"""Files of rows: JSON lines, a JSON array, or columns separated by tabs or commas, as they are or in gzip or zstd.

Every function yields rows with their numbers, from 1, and puts what cannot be read among the problems.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic_core import from_json

from clir_core.errors import first_line
from clir_core.sources.endings import PACKED, form_of, listed, misnamed, no_text
from clir_core.sources.json_input import unreadable
from clir_core.sources.names import NAMES, known_names, plain, twice

_HEADS = known_names("documents", "queries")
# no text of a first row is called so
_KEYS = frozenset((*NAMES["documents"]["doc_id"], *NAMES["queries"]["query_id"]))
TABLES = (".jsonl", ".json", ".tsv", ".csv")
_LONGEST = 2**31 - 1  # cell of a CSV file


def find(folder: Path, stem: str, problems: list[str]) -> Path | None:
    """The one file of this name, in whatever form."""
    found = [path for ending in TABLES for pack in ("", *PACKED) if (path := folder / f"{stem}{ending}{pack}").exists()]
    if not found:
        there = listed(folder.glob(f"{stem}*"))
        problems.append(
            f"{folder / stem}.jsonl: No such file, nor as .json, .tsv, .csv or packed; {there}, a corpus needs it"
        )
    if len(found) > 1:
        problems.append(f"{folder}: {' and '.join(path.name for path in found)} are both there; keep one")
    return found[0] if len(found) == 1 else None


def read_lines(path: Path, problems: list[str]) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, without its end."""
    try:
        with _stream(path) as lines:
            for number, raw in enumerate(lines, start=1):
                line = (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).rstrip(b"\r\n")
                if line.strip():
                    yield number, line
    except (OSError, pa.ArrowException, ValueError) as error:
        problems.append(f"{path}: {_why(error)}")


def csv_rows(path: Path, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row, which may be quoted and hold line ends, with the number of the row's first line."""
    end = 0
    csv.field_size_limit(_LONGEST)
    try:
        with io.TextIOWrapper(_stream(path), encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=True)
            for row in rows:
                number, end = end + 1, rows.line_num
                if cells := _without_tail(row):
                    yield number, cells
    except csv.Error as error:
        problems.append(f"{path}, row {end + 1}: no comma-separated cells from here on ({error}); mend the quotes")
    except UnicodeDecodeError:
        problems.append(f"{path}, after row {end}: not UTF-8; save the file as UTF-8")
    except (OSError, pa.ArrowException, ValueError) as error:
        problems.append(f"{path}: {_why(error)}")


def _stream(path: Path) -> io.BufferedReader:
    """The bytes, unpacked. ValueError where they are not what the name says."""
    if problem := misnamed(path):
        raise ValueError(problem)
    stream = io.BufferedReader(pa.input_stream(str(path), compression=PACKED.get(path.suffix)))
    if problem := no_text(stream.peek(1)[:64]):
        raise ValueError(problem)
    return stream


def _why(error: Exception) -> str:
    if type(error) is ValueError:
        return str(error)
    return f"cannot be read ({getattr(error, 'strerror', None) or first_line(error)}); fetch or write it again"


def read_rows(
    path: Path, headless: Sequence[str], problems: list[str], asked: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row by its columns' names.

    Cells that are separated by tabs or commas have a header, of known names or those asked for, or these names where
    they are `headless`.
    """
    if form_of(path) in (".tsv", ".csv"):
        yield from _table_rows(path, headless, frozenset(map(plain, asked)), problems)
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
    return [_unquoted(cell) for cell in _without_tail(line.split("\t"))]


def _without_tail(row: Sequence[str]) -> list[str]:
    found = [cell.strip() for cell in row]
    while found and not found[-1]:
        found.pop()
    return found


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


def _table_rows(
    path: Path, headless: Sequence[str], asked: frozenset[str], problems: list[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] | None = None
    is_csv = form_of(path) == ".csv"
    for number, row in csv_rows(path, problems) if is_csv else _tab_rows(path, problems):
        if header is None:
            named = [plain(cell) for cell in row]
            is_header = sum(name in _HEADS for name in named) > 1 or named[0] in _KEYS or not asked.isdisjoint(named)
            header = row if is_header else list(headless)
            if is_header:
                problems += [f"{path}, row {number}: {problem}" for problem in twice(row, _HEADS | asked)]
                continue
        if len(row) > len(header):
            hint = "put quotes around a text that holds commas" if is_csv else "write no tab into a text"
            problems.append(f"{path}, row {number}: {len(row)} columns, not {len(header)}; {hint}")
        else:
            yield number, dict(zip(header, row, strict=False))


def _tab_rows(path: Path, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, raw in read_lines(path, problems):
        line = decoded(path, number, raw, problems)
        if line is not None:
            yield number, cells(line)


def _unquoted(cell: str) -> str:
    inside = cell[1:-1].replace('""', "")
    # a lone quote inside is none that a writer of quoted cells would leave: the text begins and ends with speech
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside
    return cell[1:-1].replace('""', '"') if is_quoted else cell
