"""Files of qrels: separated by tabs, spaces or commas, with a header or without, TREC's four columns, or JSON lines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from clir_core.sources.columns import conform
from clir_core.sources.endings import PACKED, form_of
from clir_core.sources.lines import cells, csv_rows, decoded, read_lines, read_rows
from clir_core.sources.names import known_names, plain, twice
from clir_core.sources.values import number_in, text_of

ENDINGS = tuple(
    f"{ending}{pack}" for ending in (".tsv", ".csv", ".txt", ".trec", ".jsonl", ".json") for pack in ("", *PACKED)
)
_COLUMNS = ("query_id", "doc_id", "grade")
_TREC = {3: (0, 1, 2), 4: (0, 2, 3)}  # where query, document and grade stand
_KNOWN = known_names("qrels")


def read_qrels(path: Path, asked: Mapping[str, str], problems: list[str]) -> pa.Table:
    """The raw table of a file, whose targets, documents or groups, are in `doc_id`."""
    read = _json_columns if form_of(path) in (".jsonl", ".json") else _text_columns
    columns, numbers = read(path, asked, problems)
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return conform(table, "qrels", str(path), problems, asked, rows=numbers)


_Columns = tuple[Mapping[str, Sequence[str | None]], list[int]]


def _json_columns(path: Path, _: Mapping[str, str], problems: list[str]) -> _Columns:
    rows = list(read_rows(path, (), problems))
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    values: dict[str, list[str | None]] = {}
    for name in names:
        try:
            values[name] = [text_of(row.get(name)) for _, row in rows]
        except ValueError:
            continue  # a list or an object is none of ours
    return values, [number for number, _ in rows]


def _text_columns(path: Path, asked: Mapping[str, str], problems: list[str]) -> _Columns:
    header: list[str] = []
    rows: list[list[str]] = []
    numbers: list[int] = []
    known = {*_KNOWN, *map(plain, asked.values())}
    for number, row in csv_rows(path, problems) if form_of(path) == ".csv" else _split_rows(path, problems):
        if not rows and not header and sum(plain(cell) in known for cell in row) > 1:
            header = row
            problems += [f"{path}, row {number}: {problem}" for problem in twice(row, known)]
            continue
        problem = _problem(row, header, is_first=not rows)
        if problem:
            problems.append(f"{path}, row {number}: {problem}")
        else:
            rows.append(row if header else [row[at] for at in _TREC[len(row)]])
            numbers.append(number)
    names = header or list(_COLUMNS)
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}, numbers


def _split_rows(path: Path, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, raw in read_lines(path, problems):
        line = decoded(path, number, raw, problems)
        if line is not None:
            yield number, cells(line) if "\t" in line else line.split()


def _problem(row: Sequence[str], header: Sequence[str], is_first: bool) -> str | None:
    fits = len(row) == len(header) if header else len(row) in _TREC
    if not fits:
        expected = str(len(header)) if header else "3 (query, document, grade) or TREC's 4"
        return f"{len(row)} columns, not {expected}; separate them by one tab or comma each"
    if not all(row):
        return "a cell is empty; write query, document and grade"
    if is_first and not header and not _is_number(row[_TREC[len(row)][2]]):
        return (
            f"{row[_TREC[len(row)][2]]!r} is not a whole number: if this is a header, name its columns as "
            "query-id, corpus-id and score, or by `columns`: qrels.query_id=..."
        )
    return None


def _is_number(cell: str) -> bool:
    try:
        number_in(cell)
    except ValueError:
        return False
    return True
