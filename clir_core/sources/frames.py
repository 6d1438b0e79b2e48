"""A corpus given from Python: documents, queries and qrels as frames of whatever library."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from clir_core.errors import CorpusError
from clir_core.sources.columns import SCHEMAS, conform
from clir_core.sources.rows import RawCorpus


def read(frames: Mapping[str, Any], name: str = "frames") -> RawCorpus:
    """The corpus in `documents`, `queries` and `qrels`: Polars, pandas or Arrow tables, or lists of rows.

    Columns are those of parquet:DIR. Raises CorpusError with every problem.
    """
    wrong = sorted({*SCHEMAS} ^ {*frames})
    if wrong:
        raise CorpusError(f"a corpus of frames has {', '.join(SCHEMAS)}; {', '.join(wrong)}: missing, or not known")
    problems: list[str] = []
    tables = {what: conform(as_table(frames[what], what), what, what, problems) for what in SCHEMAS}
    if problems:
        raise CorpusError(f"corpus {name} cannot be read, problems: {len(problems)}", problems)
    return RawCorpus(name, **tables)


def as_table(frame: Any, what: str) -> pa.Table:
    """A frame as an Arrow table; CorpusError where it is none."""
    try:
        return _of_rows(frame) if isinstance(frame, list) else pa.table(frame)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"{what}: {type(frame).__name__} is no table ({error}); give a Polars, pandas or Arrow table, or a list of "
            "rows"
        ) from error


def _of_rows(rows: list[Mapping[str, Any]]) -> pa.Table:
    """A column of several types as text: 1 and "1" are one id."""
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    return pa.table(columns)
