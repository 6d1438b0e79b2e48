"""Tables that others wrote, brought to our columns: names and types checked, what is optional filled in."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from clir_core.corpus.tables import DOCUMENTS, ORIGIN, QRELS, QUERIES, further_columns

SCHEMAS: Mapping[str, pa.Schema] = {"documents": DOCUMENTS, "queries": QUERIES, "qrels": QRELS}
_OPTIONAL = {"documents": {"title", "group_id"}, "queries": {"group_id"}, "qrels": {"grade", "group_id", "doc_id"}}
_KEYS = {"documents": "doc_id", "queries": "query_id"}


def conform(table: pa.Table, what: str, file: str, problems: list[str]) -> pa.Table:
    """The table with the columns of documents, queries or qrels, and ORIGIN. Empty where there are problems.

    Queries keep further columns that are text or whole numbers, as strings.
    """
    schema = SCHEMAS[what]
    found = [*_missing(table, what, file)]
    columns = {}
    for field in schema:
        if field.name in table.column_names:
            columns[field.name] = convert(table[field.name], field, file, found)
        else:
            columns[field.name] = pa.nulls(len(table), field.type)
    further = _further(table, file) if what == "queries" else {}
    more = [pa.field(name, pa.string()) for name in further]
    raw = pa.schema([*(field.with_nullable(True) for field in schema), *ORIGIN, *more])
    if found:
        problems += found
        return raw.empty_table()
    if what in _KEYS:
        # without a group, a text is its own
        columns["group_id"] = pc.coalesce(columns["group_id"], columns[_KEYS[what]])
    elif "grade" not in table.column_names:
        columns["grade"] = pa.repeat(pa.scalar(1, pa.int32()), len(table))
    columns |= further
    columns |= {"file": pa.repeat(file, len(table)), "row": pa.array(range(1, len(table) + 1), pa.int64())}
    return pa.table(columns, schema=raw)


def _missing(table: pa.Table, what: str, file: str) -> list[str]:
    has = f"it has {', '.join(table.column_names) or 'none'}"
    absent = [name for name in SCHEMAS[what].names if name not in {*_OPTIONAL[what], *table.column_names}]
    problems = [f"{file}: column {name!r} is missing, {has}; add it" for name in absent]
    if what == "qrels" and not {"group_id", "doc_id"} & set(table.column_names):
        problems.append(f"{file}: neither 'group_id' nor 'doc_id' is there, {has}; add one of them")
    return problems


def _further(table: pa.Table, file: str) -> dict[str, pa.ChunkedArray]:
    """Columns beside ours that are text, or whole numbers as text. Others are no way to name a cluster."""
    found = {}
    for name in further_columns(table.column_names):
        # a frame of pandas has its index as a column; a name that stands there twice means neither
        if name.startswith("__index_level_") or table.column_names.count(name) > 1:
            continue
        column, unfit = _decoded(table[name]), list[str]()
        if types.is_integer(column.type):
            column = column.cast(pa.string())
        text = convert(column, pa.field(name, pa.string()), file, unfit)
        if not unfit and not types.is_null(column.type):
            found[name] = text
    return found


def convert(column: pa.ChunkedArray, field: pa.Field, file: str, problems: list[str]) -> pa.ChunkedArray:
    """The column in the field's type."""
    column = _decoded(column)
    is_text = any(test(column.type) for test in (types.is_string, types.is_large_string, types.is_string_view))
    fits = is_text if field.type == pa.string() else types.is_integer(column.type)
    if not fits and not types.is_null(column.type):
        problems.append(f"{file}: column {field.name!r} is {column.type}, not {field.type}; convert it")
        return column
    if is_text:
        bad = [f"{file}, row {row}: {field.name!r} is not UTF-8; mend the text" for row in _not_utf8(column)]
        if bad:
            problems += bad
            return column
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        problems.append(f"{file}: column {field.name!r} does not fit {field.type} ({error}); convert it")
        return column


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not types.is_dictionary(column.type):
        return column
    return pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], column.type.value_type)


def _not_utf8(column: pa.ChunkedArray) -> list[int]:
    """Rows, from 1, whose bytes are not UTF-8. Arrow believes what a file says, and other libraries crash on it."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.large_binary()).to_pylist()
        return [row for row, value in enumerate(values, start=1) if value is not None and not _decodes(value)]
    return []


def _decodes(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
