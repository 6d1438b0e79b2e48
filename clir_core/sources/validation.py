"""From raw tables to a corpus: everything that is wrong with it is found and named at once, nothing is dropped unsaid.

Raw tables have the columns of DOCUMENTS, QUERIES and QRELS, any of them null, and ORIGIN.
Further columns of queries are kept as they are.
"""

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from clir_core.corpus.lang import language_problem
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus, Skipped, further_columns, skip
from clir_core.errors import CorpusError

# an Arrow string column holds at most 2 GiB a chunk
_CHUNK_ROWS = 65_536


def validate(
    name: str, documents: pa.Table, queries: pa.Table, qrels: pa.Table, skipped: Sequence[Skipped] = ()
) -> Corpus:
    """The corpus in these raw tables, sorted; or one CorpusError with every problem: file, row, value and fix."""
    docs, asks, judged = _frame(documents), _frame(queries), _frame(qrels)
    # an empty target is no target
    judged = judged.with_columns(pl.when(~_blank(to)).then(pl.col(to)).alias(to) for to in ("group_id", "doc_id"))
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
    return _split(name, docs, asks, judged, skipped)


def _split(
    name: str, docs: pl.DataFrame, asks: pl.DataFrame, judged: pl.DataFrame, skipped: Sequence[Skipped]
) -> Corpus:
    """The part that can be audited, sorted, and the part that is skipped."""
    relevant = judged.filter(pl.col("grade") > 0)
    if relevant.is_empty():
        raise CorpusError(f"corpus {name}: every qrel has grade 0, not relevant; an audit needs some of 1 or more")
    other = judged.filter(pl.col("grade") == 0)
    unjudged = asks.join(relevant, on="query_id", how="anti", maintain_order="left")
    asked = asks.join(relevant, on="query_id", how="semi")
    further = [pa.field(name, pa.string()) for name in further_columns(asks.columns)]
    pairs = other.select(pl.format("{} -> {}", "query_id", pl.coalesce("doc_id", "group_id"))).to_series()
    return Corpus(
        name=name,
        documents=_table(docs.sort("lang", "doc_id"), DOCUMENTS),
        queries=_table(asked.sort("lang", "query_id"), pa.schema([*QUERIES, *further])),
        qrels=_table(relevant.sort("query_id", "group_id", "doc_id"), QRELS),
        skipped=(
            *skipped,
            *skip("qrels", "grade 0: judged not relevant", pairs.to_list()),
            *skip("queries", "no relevant document in the qrels", unjudged["query_id"].to_list()),
        ),
    )


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
        _at(frame.filter(_blank("text")), no_text, key),
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
        _at(qrels.filter(grade < 0), "grade {} for query '{}' is negative; 0 is not relevant", "grade", "query_id"),
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
    again = "query '{}' is judged for '{}' before, in {}, row {}; keep one of the two"
    also = "query '{}' is judged for document '{}' and for its group '{}' as well; keep one of the two"
    found = _at(repeats, again, "query_id", "target", *_BEFORE)
    return pl.concat([found, _at(through_group, also, "query_id", "doc_id", "group_id")])


_BEFORE = ("first_file", "first_row")


def _repeats(frame: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Rows whose keys an earlier row has, with the first such row's place."""
    keyed = frame.drop_nulls(keys)
    keyed = keyed.filter(keyed.select(keys).is_duplicated())
    first = [pl.col(column).first().over(keys).alias(f"first_{column}") for column in ("file", "row")]
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
