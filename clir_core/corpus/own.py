"""Queries that are documents themselves, as in ArguAna and Quora: each has the id and the text of its own document.

Its own document is no answer to it, and the first that any model finds. BEIR and mteb leave it out by the id alone;
here texts have to agree as well, as queries and documents may both be counted from 1.
"""

import polars as pl

from clir_core.corpus.tables import Corpus

_AGREE = 0.5  # of the queries with a document's id, the share with its text
_LIKE = 0.5  # a text within a longer one is the same from this part of its length on


def own_documents(corpus: Corpus) -> pl.DataFrame:
    """query_id, doc_id and group_id of every query that is a document; empty where equal ids mean nothing.

    They do where at least half of the queries with a document's id have its text, or most of it.
    """
    documents = pl.DataFrame(pl.from_arrow(corpus.documents))
    queries = pl.DataFrame(pl.from_arrow(corpus.queries)).select("query_id", query="text")
    both = documents.join(queries, left_on="doc_id", right_on="query_id").with_columns(query_id="doc_id")
    title = pl.concat_str(pl.col("title").fill_null(""), pl.lit(" "), pl.col("text"))
    bare = both.with_columns(_plain(pl.col("query")), _plain(pl.col("text")), titled=_plain(title))
    like = bare.select(_is_like("query", "text") | _is_like("query", "titled")).to_series()
    found = both.select("query_id", "doc_id", "group_id")
    return found if len(found) and like.sum() >= _AGREE * len(found) else found.clear()


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()


def _is_like(one: str, other: str) -> pl.Expr:
    """Whether one text is the other, or most of it."""
    a, b = pl.col(one), pl.col(other)
    lengths = [a.str.len_chars(), b.str.len_chars()]
    shorter, longer = pl.min_horizontal(lengths), pl.max_horizontal(lengths)
    within = a.str.contains(b, literal=True) | b.str.contains(a, literal=True)
    return within & (shorter > 0) & (shorter >= _LIKE * longer)
