"""From raw tables to a corpus: what is wrong with it is found and named at once, what is left out is counted.

Left out is what says nothing: repeated rows, empty texts that nothing is relevant to, judgements of no relevance.

Raw tables have the columns of DOCUMENTS, QUERIES and QRELS, any of them null, and ORIGIN.
Further columns of queries are kept as they are.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from clir_core.corpus.lang import canonical, language_problem
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus, Skipped, further_columns, skip
from clir_core.errors import CorpusError
from clir_core.sources.choice import code_notes

# an Arrow string column holds at most 2 GiB a chunk
_CHUNK_ROWS = 65_536


def validate(
    name: str, documents: pa.Table, queries: pa.Table, qrels: pa.Table, skipped: Sequence[Skipped] = ()
) -> Corpus:
    """The corpus in these raw tables, sorted; or one CorpusError with every problem: file, row, value and fix."""
    docs, asks, judged = _frame(documents), _frame(queries), _frame(qrels)
    codes = {code for frame in (docs, asks) for code in frame["lang"].drop_nulls().unique()}
    written = {code: canonical(code) for code in codes}
    docs, asks = (frame.with_columns(pl.col("lang").replace(written)) for frame in (docs, asks))
    # an empty target is no target
    judged = judged.with_columns(pl.when(~_blank(to)).then(pl.col(to)).alias(to) for to in ("group_id", "doc_id"))
    left_out = [*skipped]
    (docs, asks, judged), repeats = zip(*map(_without_repeats, (docs, asks, judged)), strict=True)
    for what, ids in zip(("documents", "queries", "qrels"), repeats, strict=True):
        left_out += skip(what, "repeats a row before it", ids)
    docs, asks, judged = _without_nothing(docs, asks, judged, left_out)
    # the names of further columns may be those of columns that checks add
    bare = asks.drop(further_columns(asks.columns))
    problems = [
        *_empty(documents=docs, queries=asks, qrels=judged),
        *_listed(*_text_problems(docs, "document", "doc_id")),
        *_listed(*_text_problems(bare, "query", "query_id")),
        *_listed(*_qrel_problems(judged), *_unknown(judged, docs, asks), _judged_twice(judged, docs)),
    ]
    if problems:
        raise CorpusError(f"corpus {name} cannot be used, problems: {len(problems)}", problems)
    return replace(_split(name, docs, asks, judged, left_out), notes=tuple(code_notes(codes)))


def _split(
    name: str, docs: pl.DataFrame, asks: pl.DataFrame, judged: pl.DataFrame, skipped: Sequence[Skipped]
) -> Corpus:
    """The part that can be audited, sorted, and the part that is skipped."""
    relevant = judged.filter(pl.col("grade") > 0)
    if relevant.is_empty():
        raise CorpusError(
            f"corpus {name}: every qrel has grade 0 or less, not relevant; an audit needs some of 1 or more"
        )
    unjudged = asks.join(relevant, on="query_id", how="anti", maintain_order="left")
    asked = asks.join(relevant, on="query_id", how="semi")
    further = [pa.field(name, pa.string()) for name in further_columns(asks.columns)]
    return Corpus(
        name=name,
        documents=_table(docs.with_columns(pl.col("text").fill_null("")).sort("lang", "doc_id"), DOCUMENTS),
        queries=_table(asked.sort("lang", "query_id"), pa.schema([*QUERIES, *further])),
        qrels=_table(relevant.sort("query_id", "group_id", "doc_id"), QRELS),
        skipped=(
            *skipped,
            *skip("qrels", "grade 0: judged not relevant", _pairs(judged.filter(pl.col("grade") == 0))),
            *skip("qrels", "grade below 0: judged not relevant", _pairs(judged.filter(pl.col("grade") < 0))),
            *skip("queries", "no relevant document in the qrels", unjudged["query_id"].to_list()),
        ),
    )


def _without_repeats(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The rows that say something new, and what the others repeat."""
    columns = [name for name in frame.columns if name not in ("file", "row")]
    is_new = frame.select(pl.struct(columns).is_first_distinct()).to_series()
    again = frame.filter(~is_new)
    return frame.filter(is_new), _pairs(again) if "grade" in columns else again[columns[0]].fill_null("").to_list()


def _without_nothing(
    docs: pl.DataFrame, asks: pl.DataFrame, judged: pl.DataFrame, left_out: list[Skipped]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The tables without empty texts that no qrel needs, and without zeros for what is not there."""
    relevant = judged.filter(pl.col("grade") > 0)
    is_needed = _is_in("doc_id", relevant) | _is_in("group_id", relevant)
    no_document = _blank("text") & _blank("title") & ~is_needed & ~_blank("doc_id")
    no_query = _blank("text") & ~_is_in("query_id", relevant) & ~_blank("query_id")
    empty_docs, empty_asks = docs.filter(no_document)["doc_id"], asks.filter(no_query)["query_id"]
    left_out += skip("documents", "without text or title, and relevant to no query", empty_docs.to_list())
    left_out += skip("queries", "without text, and without a relevant document", empty_asks.to_list())
    docs, asks = docs.filter(~no_document), asks.filter(~no_query)
    known = (("query_id", asks), ("group_id", docs), ("doc_id", docs))
    lost = pl.any_horizontal(~_blank(column) & ~_is_in(column, frame) for column, frame in known)
    gone = (pl.col("grade") <= 0).fill_null(False) & lost
    left_out += skip("qrels", "not relevant, of a query or document that is not there", _pairs(judged.filter(gone)))
    return docs, asks, judged.filter(~gone)


def _is_in(column: str, frame: pl.DataFrame) -> pl.Expr:
    return pl.col(column).is_in(frame[column].drop_nulls().implode()).fill_null(False)


def _pairs(qrels: pl.DataFrame) -> list[str]:
    named = pl.format("{} -> {}", pl.col("query_id").fill_null(""), pl.coalesce("doc_id", "group_id", pl.lit("")))
    return qrels.select(named).to_series().to_list()


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    frame = frame.select(schema.names)
    slices = (frame.slice(start, _CHUNK_ROWS) for start in range(0, max(len(frame), 1), _CHUNK_ROWS))
    return pa.concat_tables(part.to_arrow().cast(schema) for part in slices)


def _empty(**parts: pl.DataFrame) -> list[str]:
    return [f"there are no {what}; a corpus needs some" for what, part in parts.items() if part.is_empty()]


def _text_problems(frame: pl.DataFrame, what: str, key: str) -> tuple[pl.DataFrame, ...]:
    """What is wrong with documents or queries by themselves."""
    one_each = frame.unique(key, keep="first", maintain_order=True)  # a repeated id is one problem, not two
    no_text = "text of " + what + " '{}' is empty; write it, or remove it and its qrels"
    again = key + " '{}' was used before, in {}, row {}; rename or remove one"
    second = (
        "group '{}' has a " + what + " in '{}' before, in {}, row {}; it holds one a language: regroup or remove '{}'"
    )
    return (
        _at(frame.filter(_blank(key)), f"{key} is empty; every {what} needs one"),
        _at(frame.filter(_blank("group_id")), f"group_id is empty; every {what} needs one, its own id will do"),
        _at(frame.filter(_blank("lang")), f"lang is empty; every {what} needs one, such as 'en'"),
        _at(frame.filter(_blank("text") & (_blank("title") if "title" in frame.columns else True)), no_text, key),
        _at(_repeats(frame, key), again, key, *_BEFORE),
        _at(_repeats(one_each, "group_id", "lang"), second, "group_id", "lang", *_BEFORE, key),
        _language_problems(frame),
    )


def _language_problems(frame: pl.DataFrame) -> pl.DataFrame:
    codes = frame.filter(~_blank("lang"))["lang"].unique().to_list()
    wrong = {code: problem for code in codes if (problem := language_problem(code))}
    table = pl.DataFrame({"lang": list(wrong), "why": list(wrong.values())}, {"lang": pl.String, "why": pl.String})
    return _at(frame.join(table, on="lang"), "{}", "why")


def _qrel_problems(qrels: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """What is wrong with the qrels by themselves."""
    group, doc, grade = pl.col("group_id"), pl.col("doc_id"), pl.col("grade")
    return (
        _at(qrels.filter(_blank("query_id")), "query_id is empty; every qrel needs one"),
        _at(qrels.filter(grade.is_null()), "grade for query '{}' is empty; write a whole number", "query_id"),
        _at(
            qrels.filter(group.is_not_null() & doc.is_not_null()),
            "qrel of query '{}' has group_id '{}' and doc_id '{}'; keep one of them",
            *("query_id", "group_id", "doc_id"),
        ),
        _at(
            qrels.filter(group.is_null() & doc.is_null()),
            "qrel of query '{}' has neither group_id nor doc_id; give it one of them",
            "query_id",
        ),
    )


def _unknown(qrels: pl.DataFrame, docs: pl.DataFrame, asks: pl.DataFrame) -> list[pl.DataFrame]:
    """Qrels that point to what is not there."""
    targets = (("query_id", asks, "query"), ("group_id", docs, "group"), ("doc_id", docs, "document"))
    return [
        _at(
            qrels.filter(~_blank(column)).join(known.select(column), on=column, how="anti"),
            f"{column} '{{}}' is no {what} of this corpus; add the {what} or remove the qrel",
            column,
        )
        for column, known, what in targets
    ]


def _judged_twice(qrels: pl.DataFrame, docs: pl.DataFrame) -> pl.DataFrame:
    """Qrels that say again, or otherwise, what another one says: directly, or through the document's group."""
    usable = qrels.filter(~_blank("query_id") & (pl.col("group_id").is_null() != pl.col("doc_id").is_null()))
    target = pl.coalesce("doc_id", "group_id").alias("target")
    is_document = pl.col("doc_id").is_not_null().alias("is_document")
    repeats = _repeats(usable.with_columns(target, is_document), "query_id", "target", "is_document")
    groups = docs.select("doc_id", "group_id").drop_nulls().unique("doc_id")
    single = usable.drop("group_id").join(groups, on="doc_id")
    through_group = single.join(usable, on=["query_id", "group_id"], how="semi")
    again = "query '{}' is judged for '{}' before, in {}, row {}, as {}, and here as {}; keep one of the two"
    also = "query '{}' is judged for document '{}' and for its group '{}' as well; keep one of the two"
    found = _at(repeats, again, "query_id", "target", *_BEFORE, "first_grade", "grade")
    return pl.concat([found, _at(through_group, also, "query_id", "doc_id", "group_id")])


_BEFORE = ("first_file", "first_row")


def _repeats(frame: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Rows whose keys an earlier row has, with the first such row's place."""
    keyed = frame.drop_nulls(keys)
    keyed = keyed.filter(keyed.select(keys).is_duplicated())
    told = [column for column in ("file", "row", "grade") if column in keyed.columns]
    first = [pl.col(column).first().over(keys).alias(f"first_{column}") for column in told]
    return keyed.with_columns(*first, nth=pl.int_range(pl.len()).over(keys)).filter(pl.col("nth") > 0)


def _blank(column: str) -> pl.Expr:
    return pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")


def _at(wrong: pl.DataFrame, message: str, *columns: str) -> pl.DataFrame:
    """The place of each wrong row and its message, filled from the columns."""
    values = [pl.col(column).cast(pl.String).fill_null("") for column in columns]
    problem = pl.format(message, *values) if values else pl.lit(message)
    return wrong.select("file", "row", problem=problem)


def _listed(*found: pl.DataFrame) -> list[str]:
    """One line a problem, in the order of the files."""
    table = pl.concat(found).sort("file", "row", maintain_order=True)
    return table.select(pl.format("{}, row {}: {}", "file", "row", "problem")).to_series().to_list()
