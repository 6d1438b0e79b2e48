"""Passages that a checkpoint or a correction has seen: the documents of a corpus, or the passages of triples:FILE."""

import polars as pl

from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.texts import documents_of
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus
from clir_core.sources.parquet import table_of
from clir_core.workspace.storage import path_of

TRIPLES = "triples"
_COLUMNS = ("group_id", "p_en", "p_x")


def read_seen(reference: str, reading: ReadingSpec) -> pl.DataFrame:
    """group_id and text of each, in all languages. CorpusError where it cannot be read."""
    kind, _, place = reference.partition(":")
    if kind != TRIPLES:
        return documents_of(read_corpus(reference, reading=reading)).select("group_id", "text")
    try:
        found = pl.DataFrame(pl.from_arrow(table_of(path_of(place)).select(_COLUMNS)))
    except (OSError, ValueError, LookupError) as error:
        raise CorpusError(f"triples {place}: cannot be read ({error}); give a Parquet file of triples") from error
    return found.unpivot(["p_en", "p_x"], index="group_id", value_name="text").select("group_id", "text")
