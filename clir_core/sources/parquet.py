"""Our own three tables as Parquet: the shortest way to bring a corpus."""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clir_core.errors import CorpusError, first_line
from clir_core.sources.asked import USUAL, Asked, choose_split, split_note
from clir_core.sources.columns import SCHEMAS, conform, convert
from clir_core.sources.endings import listed, misnamed
from clir_core.sources.names import twice
from clir_core.sources.rows import RawCorpus

_SHARD = re.compile(r"-\d+-of-\d+$")


def read(directory: Path, asked: Asked) -> RawCorpus:
    """documents, queries and qrels, each a file NAME.parquet or a folder NAME/*.parquet. All languages are read.

    Qrels may be split by files, qrels/NAME.parquet, or by a column `split`. One CorpusError with every file and column
    that cannot be used.
    """
    problems: list[str] = []
    notes: list[str] = []
    tables = {}
    for what in SCHEMAS:
        paths = _files(directory, what, problems)
        read = _tables(_of_split(directory, paths, asked, notes) if what == "qrels" else paths, problems)
        rows = rows_of_split(read, asked, notes) if what == "qrels" else dict.fromkeys(read)
        renamed = asked.reading.of_table(what)
        parts = [conform(read[file], what, file, problems, renamed, rows=rows[file]) for file in read]
        tables[what] = pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
    if asked.split and not notes and not problems:
        raise CorpusError(f"{directory}: its qrels have no splits, so no {asked.split!r}; leave #{asked.split} out")
    if problems:
        raise CorpusError(f"Parquet corpus {directory} cannot be read, problems: {len(problems)}", problems)
    return RawCorpus(directory.resolve().name, **tables, notes=tuple(notes))


def rows_of_split(tables: dict[str, pa.Table], asked: Asked, notes: list[str]) -> dict[str, Sequence[int] | None]:
    """Of each file the numbers of its rows of one split, where a column `split` says it: the tables keep only those."""
    marked = {file: _said_splits(table, file) for file, table in tables.items() if "split" in table.column_names}
    if not marked:
        return dict.fromkeys(tables)
    names = {str(name) for column in marked.values() for name in column.to_pylist()}
    split = choose_split({"qrels": sorted(names)}, asked, f"{', '.join(marked)}, column split")
    notes.append(f"Qrels were read from the rows of split {split}, of {', '.join(sorted(names))}.")
    rows: dict[str, Sequence[int] | None] = dict.fromkeys(tables)
    for file, column in marked.items():
        at = pc.indices_nonzero(pc.equal(column, split))
        tables[file] = tables[file].take(at)
        rows[file] = [row + 1 for row in at.to_pylist()]
    return rows


def _said_splits(table: pa.Table, file: str) -> pa.ChunkedArray:
    problems = [f"{file}: {problem}" for problem in twice(table.column_names, ("split",))]
    column = table.column(table.column_names.index("split"))
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    column = convert(column, pa.field("split", pa.string()), file, problems)
    if problems:
        raise CorpusError(f"the splits of {file} cannot be read, problems: {len(problems)}", problems)
    return column


def _files(directory: Path, what: str, problems: list[str]) -> list[Path]:
    file, folder = directory / f"{what}.parquet", sorted(directory.glob(f"{what}/*.parquet"))
    if file.exists() == bool(folder):
        there = (
            "both are there: keep one" if folder else f"none is there, {listed(directory.glob(what + '*'))}: add one"
        )
        problems.append(f"{directory}: {what}.parquet or {what}/*.parquet is read, {there}")
        return []
    return folder or [file]


def _of_split(directory: Path, paths: Sequence[Path], asked: Asked, notes: list[str]) -> list[Path]:
    by_split: dict[str, list[Path]] = {}
    for path in paths:
        by_split.setdefault(_SHARD.sub("", path.stem), []).append(path)
    # files of other names are parts of one table
    if not {*USUAL, asked.split} & set(by_split):
        return list(paths)
    chosen = by_split[choose_split({"qrels": list(by_split)}, asked, str(directory))]
    named = [str(path.relative_to(directory)) for path in paths]
    read = [str(path.relative_to(directory)) for path in chosen]
    notes.append(split_note(read, [name for name in named if name not in read]))
    return chosen


def table_of(path: Path) -> pa.Table:
    """The table in a file. ValueError with what is wrong and what to do, FileNotFoundError where there is none."""
    try:
        # not read_table: it would make columns of folder names such as lang=zh
        with pq.ParquetFile(path) as file:
            return file.read()
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, ValueError) as error:
        # names of columns that are not UTF-8 are a ValueError
        why = None if isinstance(error, OSError) else misnamed(path)
        raise ValueError(why or f"cannot be read as Parquet ({first_line(error)}); write or fetch it again") from error


def _tables(paths: Sequence[Path], problems: list[str]) -> dict[str, pa.Table]:
    tables = {}
    for path in paths:
        try:
            tables[str(path)] = table_of(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return tables
