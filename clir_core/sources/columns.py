"""Tables that others wrote, brought to our columns: names and types checked, what is optional filled in."""

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from clir_core.corpus.tables import DOCUMENTS, ORIGIN, QRELS, QUERIES, further_columns
from clir_core.sources.names import NOT_GRADES, candidates, known_names, names_text, plain, twice
from clir_core.sources.values import grade_of, id_of, text_of

SCHEMAS: Mapping[str, pa.Schema] = {"documents": DOCUMENTS, "queries": QUERIES, "qrels": QRELS}
# of a column of few values, what assessors write in place of a number
_VERDICTS = re.compile(r"(?i).*relevan.*|yes|no|true|false|positive|negative|perfect|excellent|good|fair|bad")
_OPTIONAL = {"documents": {"title", "group_id"}, "queries": {"group_id"}, "qrels": {"grade", "group_id", "doc_id"}}
_KEYS = {"documents": "doc_id", "queries": "query_id"}
_IDS = ("doc_id", "query_id", "group_id")


def conform(
    table: pa.Table,
    what: str,
    file: str,
    problems: list[str],
    asked: Mapping[str, str] | None = None,
    in_part: bool = False,
    rows: Sequence[int] | None = None,
) -> pa.Table:
    """The table with the columns of documents, queries or qrels, and ORIGIN. Empty where there are problems.

    `asked` names their columns by ours, `rows` are the rows' numbers. Of a corpus in parts, which know languages and
    groups, both may be missing. Queries keep further columns that are text or whole numbers, as strings.
    """
    schema = SCHEMAS[what]
    known = known_names(what) | {*map(plain, (asked or {}).values())}
    found = [f"{file}: {problem}" for problem in twice(table.column_names, known)]
    optional = {*_OPTIONAL[what], "lang"} if in_part else _OPTIONAL[what]
    theirs = {} if found else _theirs(table, what, file, optional, asked or {}, found)
    numbers = rows if rows is not None else range(1, len(table) + 1)
    columns = {
        field.name: _column(table, theirs[field.name], field, (file, numbers), found)
        if theirs.get(field.name)
        else pa.nulls(len(table), field.type)
        for field in schema
    }
    taken = {name for names in theirs.values() for name in names}
    further = _further(table, taken, file) if what == "queries" else {}
    more = [pa.field(name, pa.string()) for name in further]
    raw = pa.schema([*(field.with_nullable(True) for field in schema), *ORIGIN, *more])
    if found:
        problems += found
        return raw.empty_table()
    if what in _KEYS and not in_part:
        # without a group, a text is its own
        columns["group_id"] = pc.coalesce(columns["group_id"], columns[_KEYS[what]])
    elif what == "qrels" and not theirs["grade"]:
        columns["grade"] = pa.repeat(pa.scalar(1, pa.int32()), len(table))
    columns |= further
    columns |= {"file": pa.repeat(file, len(table)), "row": pa.array(numbers, pa.int64())}
    return pa.table(columns, schema=raw)


def _theirs(
    table: pa.Table, what: str, file: str, optional: AbstractSet[str], asked: Mapping[str, str], problems: list[str]
) -> dict[str, list[str]]:
    """Of each of our columns, theirs that hold it: none where it may be missing, several where grades are to agree."""
    has = table.column_names
    found: dict[str, list[str]] = {}
    for column in SCHEMAS[what].names:
        names = candidates(has, what, column, asked)
        option = f"name one by `columns`: {what}.{column}=..."
        if column in asked and len(names) != 1:
            problems.append(
                f"{file}: column {asked[column]!r}, asked for as {what}.{column}, is missing, {names_text(has)}"
            )
        elif not names and column not in optional:
            problems.append(f"{file}: column {column!r} is missing, {names_text(has)}; add it, or {option}")
        elif len(names) > 1 and column != "grade":
            problems.append(f"{file}: {column!r} may be {' or '.join(map(repr, names))}; {option}")
        found[column] = names
    if what == "qrels" and not found["group_id"] and not found["doc_id"]:
        problems.append(f"{file}: neither 'group_id' nor 'doc_id' is there, {names_text(has)}; add one of them")
    if what == "qrels" and not found["grade"] and "grade" not in asked:
        taken = {name for names in found.values() for name in names}
        for name, values in zip(has, table.columns, strict=True):
            if name not in taken and (held := _may_be_grades(name, values)):
                way_out = (
                    f"name it by `columns`: qrels.grade={name}"
                    if held == "numbers"
                    else "write them as numbers, 0 or 1"
                )
                problems.append(
                    f"{file}: no column is called grade, score, relevance, rel or label, and {name!r} holds {held} "
                    f"that may be grades; {way_out}, or remove it"
                )
    return found


def _may_be_grades(name: str, column: pa.ChunkedArray) -> str:
    """What a column holds that may be grades: numbers, words, or what nobody can read; empty where it holds none."""
    if plain(name) in NOT_GRADES or name.startswith("__index_level_") or name.startswith("Unnamed"):
        return ""
    column = _decoded(column)
    if _is_number(column.type):
        return "numbers"
    if not _is_text(column.type):
        return ""
    if _not_utf8(column):
        return "texts that are not UTF-8"
    said = [value for value in pc.unique(column).to_pylist() if value]
    try:
        return "numbers" if any(grade_of(value) is not None for value in said) else ""
    except ValueError:
        return "words" if any(_VERDICTS.fullmatch(value.strip()) for value in said) else ""


def _column(
    table: pa.Table, names: Sequence[str], field: pa.Field, place: tuple[str, Sequence[int]], problems: list[str]
) -> pa.ChunkedArray:
    """One column of ours out of theirs, which have to agree; `place` is the file and its rows' numbers."""
    file, rows = place
    first, *others = (_typed(table[name], name, field, place, problems) for name in names)
    for name, other in zip(names[1:], others, strict=True):
        differ = [] if problems else pc.indices_nonzero(_differ(first, other)).to_pylist()
        if differ:
            at = differ[0]
            problems.append(
                f"{file}: {names[0]!r} and {name!r} may both be the grade and differ in {len(differ)} rows, as in "
                f"row {rows[at]} ({first[at].as_py()} and {other[at].as_py()}); name one by `columns`: qrels.grade=..."
            )
    return first


def _differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    nothing = pa.scalar(-(2**31), pa.int64())
    return pc.not_equal(*(pc.fill_null(part.cast(pa.int64()), nothing) for part in (one, other)))


def _typed(
    column: pa.ChunkedArray, name: str, field: pa.Field, place: tuple[str, Sequence[int]], problems: list[str]
) -> pa.ChunkedArray:
    """The column in the field's type, value by value where it has another."""
    file, rows = place
    column = _decoded(column)
    is_text = field.type == pa.string()
    fits = _is_text(column.type) if is_text else types.is_integer(column.type)
    if is_text and types.is_integer(column.type):
        return column.cast(pa.string())
    if fits or not (_is_text(column.type) or _is_number(column.type)):
        return convert(column, field.with_name(name), file, problems)
    if bad := _bad_texts(column, name, file):
        problems += bad
        return column
    read: Callable[[Any], object] = (id_of if field.name in _IDS else text_of) if is_text else grade_of
    values: list[object] = []
    for row, value in zip(rows, column.to_pylist(), strict=True):
        try:
            values.append(read(value))
        except ValueError as error:
            problems.append(f"{file}, row {row}: {name!r}: {error}")
            values.append(None)
    return pa.chunked_array([pa.array(values, field.type)])


def _further(table: pa.Table, taken: set[str], file: str) -> dict[str, pa.ChunkedArray]:
    """Columns beside ours that are text, or whole numbers as text. Others are no way to name a cluster."""
    found = {}
    for name in further_columns(table.column_names):
        # a frame of pandas has its index as a column; a name that stands there twice means neither
        if name in taken or name.startswith("__index_level_") or table.column_names.count(name) > 1:
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
    is_text = _is_text(column.type)
    fits = is_text if field.type == pa.string() else types.is_integer(column.type)
    if not fits and not types.is_null(column.type):
        problems.append(f"{file}: column {field.name!r} is {column.type}, not {field.type}; convert it")
        return column
    if is_text and (bad := _bad_texts(column, field.name, file)):
        problems += bad
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        problems.append(f"{file}: column {field.name!r} does not fit {field.type} ({error}); convert it")
        return column


def _bad_texts(column: pa.ChunkedArray, name: str, file: str) -> list[str]:
    return [f"{file}, row {row}: {name!r} is not UTF-8; mend the text" for row in _not_utf8(column)]


def _is_number(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal))


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (types.is_string, types.is_large_string, types.is_string_view))


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
