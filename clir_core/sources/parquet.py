"""Our own three tables as Parquet: the shortest way to bring a corpus."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from clir_core.errors import CorpusError, first_line
from clir_core.sources.columns import SCHEMAS, conform
from clir_core.sources.rows import RawCorpus


def read(directory: Path, languages: Sequence[str]) -> RawCorpus:
    """documents, queries and qrels, each a file NAME.parquet or a folder NAME/*.parquet. All languages are read.

    One CorpusError with every file and column that cannot be used.
    """
    problems: list[str] = []
    tables = {what: _read_table(directory, what, problems) for what in SCHEMAS}
    if problems:
        raise CorpusError(f"Parquet corpus {directory} cannot be read, problems: {len(problems)}", problems)
    return RawCorpus(directory.resolve().name, **tables)


def _read_table(directory: Path, what: str, problems: list[str]) -> pa.Table:
    file, folder = directory / f"{what}.parquet", sorted(directory.glob(f"{what}/*.parquet"))
    if file.exists() == bool(folder):
        there = "both are there: keep one" if folder else "none is there: add one"
        problems.append(f"{directory}: {what}.parquet or {what}/*.parquet is read, {there}")
        return pa.table({})
    parts = []
    for path in folder or [file]:
        try:
            # not read_table: it would make columns of folder names such as lang=zh
            parts.append(conform(pq.ParquetFile(path).read(), what, str(path), problems))
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{path}: cannot be read as Parquet ({first_line(error)}); write or fetch it again")
    return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})
