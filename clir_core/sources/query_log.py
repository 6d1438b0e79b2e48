"""Queries alone, without judgements: `queries:FILE`, a query log with text and lang: JSON lines, TSV, CSV, Parquet."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from clir_core.corpus.lang import canonical, language_problem
from clir_core.corpus.tables import QUERIES
from clir_core.errors import CorpusError
from clir_core.sources.lines import read_rows
from clir_core.sources.names import candidates, names_text
from clir_core.sources.parquet import table_of
from clir_core.sources.values import shown_value, text_of
from clir_core.workspace.storage import path_of

KIND = "queries"


def read_queries(place: str) -> pa.Table:
    """The queries in a file, each text of a language once, sorted, in the columns of QUERIES.

    One CorpusError with every row that cannot be used.
    """
    path = path_of(place)
    problems: list[str] = []
    found: dict[tuple[str, str], None] = {}
    for number, row in _rows(path, problems):
        lang, text = (_value(row, column, f"{path}, row {number}", problems) for column in ("lang", "text"))
        if lang and text:
            code = canonical(lang)
            if problem := language_problem(code):
                problems.append(f"{path}, row {number}: {problem}")
            found[code, text] = None
    if problems:
        raise CorpusError(f"queries {path} cannot be read, problems: {len(problems)}", problems)
    if not found:
        raise CorpusError(f"queries {path}: holds none; give a file with a text and its lang in every row")
    rows = [_query(lang, text) for lang, text in sorted(found)]
    return pa.Table.from_pylist(rows, QUERIES)


def _rows(path: Path, problems: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not path.is_file():
        problems.append(f"{path.absolute()}: no such file; give one with a text and its lang in every row")
        return
    if path.suffix != ".parquet":
        yield from read_rows(path, (), problems)
        return
    try:
        table = table_of(path)
    except (OSError, ValueError) as error:
        problems.append(f"{path}: {error}")
        return
    yield from enumerate(table.to_pylist(), start=1)


def _value(row: Mapping[str, Any], column: str, place: str, problems: list[str]) -> str | None:
    """What the row says of a column, whatever that is called; None where it cannot be used."""
    names = candidates(list(row), "queries", column, {})
    if len(names) != 1:
        which = f"may be {' or '.join(map(repr, names))}; keep one" if names else f"is missing, {names_text(list(row))}"
        problems.append(f"{place}: {column!r} {which}")
        return None
    try:
        text = text_of(row[names[0]])
    except ValueError as error:
        problems.append(f"{place}: {names[0]!r} {error}")
        return None
    if not (text or "").strip():
        problems.append(f"{place}: {names[0]!r} is {shown_value(row[names[0]])}; write a {column}")
        return None
    return text


def _query(lang: str, text: str) -> dict[str, str]:
    name = f"{lang}/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return {"query_id": name, "group_id": name, "lang": lang, "text": text}
