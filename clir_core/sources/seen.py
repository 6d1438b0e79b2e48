"""Passages that a checkpoint or a correction has seen, in all languages."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import documents_of
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus
from clir_core.sources.parquet import table_of
from clir_core.workspace.storage import path_of

TRIPLES = "triples"
_COLUMNS = ("group_id", "p_en", "p_x")
# all passages of a corpus, those that answer its queries, or those that answer what is trained on
How = Literal["documents", "answers", "trained"]


class Seen(NamedTuple):
    """A corpus, or triples:FILE, and which of its passages were seen."""

    reference: str
    how: How


def read_seen(seen: Seen, reading: ReadingSpec) -> pl.DataFrame:
    """group_id and text of each. CorpusError where it cannot be read."""
    kind, _, place = seen.reference.partition(":")
    if kind == TRIPLES:
        return _passages(place)
    corpus = read_corpus(seen.reference, reading=reading, training=seen.how == "trained", texts=True)
    texts = documents_of(corpus).select("group_id", "text")
    return texts if seen.how == "documents" else texts.filter(pl.col("group_id").is_in(answering(corpus)))


def answering(corpus: Corpus) -> Sequence[str]:
    """Groups that answer its queries."""
    judged = corpus.documents.filter(pc.is_in(corpus.documents["doc_id"], value_set=corpus.qrels["doc_id"]))
    groups = pa.chunked_array([*judged["group_id"].chunks, *corpus.qrels["group_id"].chunks], pa.string())
    return sorted(pc.unique(groups.drop_null()).to_pylist())


def _passages(place: str) -> pl.DataFrame:
    try:
        found = pl.DataFrame(pl.from_arrow(table_of(path_of(place)).select(_COLUMNS)))
    except (OSError, ValueError, LookupError) as error:
        raise CorpusError(f"triples {place}: cannot be read ({error}); give a Parquet file of triples") from error
    return found.unpivot(["p_en", "p_x"], index="group_id", value_name="text").select("group_id", "text")
