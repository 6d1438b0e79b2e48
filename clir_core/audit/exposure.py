"""Exposure: passages of the pools that a checkpoint was trained on, or a correction fitted on, and that answer nothing.

Whatever learns that a passage is beside every question pushes it down, and the passages that answer are never pushed:
figures in such pools flatter. Audits judge in pools without them, and give the figures with them beside.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.same_text import digest
from clir_core.corpus.tables import Corpus, skip
from clir_core.corpus.texts import documents_of
from clir_core.sources.seen import read_seen
from clir_core.spec import Spec


class Exposure(Spec):
    """What of a corpus stood in others that were trained or fitted on."""

    seen: tuple[str, ...] = Field(description="The others")
    distractors: tuple[str, ...] = Field(description="Groups that answer no query, and stood in them")
    answers: int = Field(description="Groups that answer a query, and stood in them")

    def __str__(self) -> str:
        told = f"{len(self.distractors):,} passages of the pools stood in {', '.join(self.seen)} and answer nothing"
        return f"{told}; {self.answers:,} that answer a query stood there" if self.answers else told


def exposure(corpus: Corpus, seen: Sequence[str], reading: ReadingSpec) -> Exposure | None:
    """Groups of the corpus that stood in others, by their ids or by a text in any language; None where none did."""
    if not seen:
        return None
    texts = pl.concat([read_seen(reference, reading) for reference in seen])
    groups = set(texts["group_id"])
    digests = set(map(digest, texts["text"]))
    documents = documents_of(corpus).select("group_id", "text").iter_rows()
    met = {group for group, text in documents if group in groups or digest(text) in digests}
    answers = _answers(corpus)
    if not met:
        return None
    return Exposure(seen=tuple(seen), distractors=tuple(sorted(met - answers)), answers=len(met & answers))


def unseen(corpus: Corpus, found: Exposure | None) -> Corpus:
    """The corpus without what was seen and answers nothing."""
    if not found or not found.distractors:
        return corpus
    is_left_out = pc.is_in(corpus.documents["group_id"], value_set=pa.array(found.distractors, pa.string()))
    ids = corpus.documents.filter(is_left_out)["doc_id"].to_pylist()
    why = f"seen in {', '.join(found.seen)}, and no answer: left out of the pools"
    return replace(
        corpus,
        documents=corpus.documents.filter(pc.invert(is_left_out)),
        skipped=corpus.skipped + skip("documents", why, ids),
    )


def _answers(corpus: Corpus) -> set[str]:
    judged = corpus.documents.filter(pc.is_in(corpus.documents["doc_id"], value_set=corpus.qrels["doc_id"]))
    return {*judged["group_id"].to_pylist(), *corpus.qrels["group_id"].drop_null().to_pylist()}
