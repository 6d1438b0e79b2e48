"""Which queries were sampled together: those of one cluster share a passage, and are not independent of one another."""

import numpy as np
import polars as pl

from clir_core.corpus.tables import Corpus, further_columns
from clir_core.errors import CorpusError, SpecError

QUERY, PASSAGE = "query", "passage"


def cluster_queries(corpus: Corpus, unit: str) -> pl.DataFrame:
    """query_id, and cluster: int32 from 0, in the order of each cluster's first query_id. Sorted by query_id.

    The unit is `query`, `passage` or a column of the corpus's queries. Parallel queries are always together; `passage`
    joins queries, in whatever language, that share a gold group, directly or through others. SpecError for an unknown
    unit; CorpusError with every query that has no value in the column, or another one than its parallel query.
    """
    queries = pl.DataFrame(pl.from_arrow(corpus.queries))
    if unit == QUERY:
        keyed = queries.select("query_id", key="group_id")
    elif unit == PASSAGE:
        keyed = _by_passage(queries.select("query_id", "group_id"), corpus)
    else:
        keyed = _by_column(queries, unit, corpus.name)
    first = pl.col("query_id").min().over("key")
    return keyed.select("query_id", cluster=first.rank("dense").cast(pl.Int32) - 1).sort("query_id")


def _by_passage(queries: pl.DataFrame, corpus: Corpus) -> pl.DataFrame:
    """Connected components of the graph whose nodes are groups, of queries and of what is relevant to them."""
    from scipy.sparse import coo_array  # half a second to import
    from scipy.sparse.csgraph import connected_components

    documents = pl.DataFrame(pl.from_arrow(corpus.documents.select(["doc_id", "group_id"])))
    asked = queries.with_columns(node=pl.col("group_id").rank("dense") - 1)
    golds = (
        pl.DataFrame(pl.from_arrow(corpus.qrels))
        .filter(pl.col("grade") > 0)
        .join(documents, on="doc_id", how="left", suffix="_of_document")
        .select("query_id", gold=pl.coalesce("group_id", "group_id_of_document"))
        .drop_nulls()
        .join(asked.select("query_id", "node"), on="query_id")
        .select("node", gold=pl.col("gold").rank("dense") - 1)
        .unique()
    )
    n_asked, n_golds = asked["group_id"].n_unique(), golds["gold"].n_unique()
    ends = (golds["node"].to_numpy().astype(np.int64), n_asked + golds["gold"].to_numpy().astype(np.int64))
    size = n_asked + n_golds
    _, component = connected_components(coo_array((np.ones(len(golds), np.int8), ends), shape=(size, size)))
    return asked.select("query_id", key=pl.Series(component)[asked["node"]])


def _by_column(queries: pl.DataFrame, column: str, corpus: str) -> pl.DataFrame:
    if column not in queries.columns:
        more = further_columns(queries.columns)
        has = f"beside its texts they have {', '.join(more)}" if more else "beside its texts they have none"
        raise SpecError(
            f"cluster {column!r}: the queries of corpus {corpus} have no such column, {has}; write one of "
            f"{', '.join([QUERY, PASSAGE, *more])}"
        )
    keyed = queries.select("query_id", "group_id", key=column).sort("group_id", "query_id")
    empty = pl.col("key").is_null() | (pl.col("key").str.strip_chars() == "")
    without = keyed.filter(empty)["query_id"]
    first = [pl.col(name).first().over("group_id").alias(f"first_{name}") for name in ("query_id", "key")]
    other = keyed.filter(~empty).with_columns(first).filter(pl.col("key") != pl.col("first_key"))
    problems = [
        *(f"query {query!r} has no value; give it one" for query in without),
        *(
            f"query {row['query_id']!r} is of {row['key']!r}, and its parallel query {row['first_query_id']!r} of "
            f"{row['first_key']!r}; give both the same"
            for row in other.iter_rows(named=True)
        ),
    ]
    if problems:
        say = f"column {column!r} of corpus {corpus} cannot cluster its queries, problems: {len(problems)}"
        raise CorpusError(f"{say}; mend them, or cluster by {QUERY} or {PASSAGE}", problems)
    return keyed.select("query_id", "key")
