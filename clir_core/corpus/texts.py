"""What is embedded of a corpus: one text a document or query, with the hash that tells whether it changed."""

import hashlib

import polars as pl

from clir_core.corpus.tables import Corpus


def document_texts(corpus: Corpus) -> pl.DataFrame:
    """id, group_id, lang, text_hash, text of every document."""
    return _hashed(documents_of(corpus))


def query_texts(corpus: Corpus) -> pl.DataFrame:
    """id, group_id, lang, text_hash, text of every query."""
    return _hashed(queries_of(corpus))


def documents_of(corpus: Corpus) -> pl.DataFrame:
    """id, group_id, lang, text of every document; a title goes before the text, as BEIR and mteb do."""
    documents = pl.DataFrame(pl.from_arrow(corpus.documents)).rename({"doc_id": "id"})
    titled = pl.concat_str(pl.col("title").fill_null(""), pl.lit(" "), pl.col("text")).str.strip_chars()
    return documents.select("id", "group_id", "lang", text=titled)


def queries_of(corpus: Corpus) -> pl.DataFrame:
    """id, group_id, lang, text of every query."""
    return pl.DataFrame(pl.from_arrow(corpus.queries)).select("group_id", "lang", "text", id="query_id")


def by_length(texts: pl.DataFrame) -> pl.DataFrame:
    """The longest first: texts of like length together are padded little."""
    return (
        texts.with_columns(length=pl.col("text").str.len_bytes())
        .sort("length", "id", descending=[True, False])
        .drop("length")
    )


def in_blocks(texts: pl.DataFrame, size: int) -> list[pl.DataFrame]:
    """All texts, of like length together, in blocks of so many."""
    order = by_length(texts)
    return [order.slice(at, size) for at in range(0, len(order), size)]


def _hashed(frame: pl.DataFrame) -> pl.DataFrame:
    hashes = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in frame["text"]]
    return frame.with_columns(text_hash=pl.Series(hashes, dtype=pl.String)).select(
        "id", "group_id", "lang", "text_hash", "text"
    )
