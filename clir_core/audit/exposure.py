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
from clir_core.sources.seen import Seen, answering, read_seen
from clir_core.spec import Spec


class Exposure(Spec):
    """What of a corpus stood in others that were trained or fitted on."""

    seen: tuple[str, ...] = Field(description="The others")
    distractors: tuple[str, ...] = Field(description="Groups that answer no query, and were seen: they leave the pools")
    answers: int = Field(description="Groups that answer a query, and were seen")

    def __str__(self) -> str:
        told = f"{len(self.distractors):,} passages of the pools were seen in {', '.join(self.seen)} and answer nothing"
        return f"{told}; {self.answers:,} that answer a query were seen" if self.answers else told


def exposure(corpus: Corpus, seen: Sequence[Seen], reading: ReadingSpec) -> Exposure | None:
    """Groups of the corpus that stood in others, by their ids or by a text in any language; None where none did.

    Where every answer was among all documents that were seen, no distractor stands out, and none is named.
    """
    answers = set(answering(corpus))
    met, distractors = set[str](), set[str]()
    for one in seen:
        found = _met(corpus, read_seen(one, reading))
        met |= found
        if one.how != "documents" or not answers <= found:
            distractors |= found - answers
    if not met:
        return None
    references = tuple(dict.fromkeys(one.reference for one in seen))
    return Exposure(seen=references, distractors=tuple(sorted(distractors)), answers=len(met & answers))


def _met(corpus: Corpus, texts: pl.DataFrame) -> set[str]:
    groups, digests = set(texts["group_id"]), set(map(digest, texts["text"]))
    documents = documents_of(corpus).select("group_id", "text").iter_rows()
    return {group for group, text in documents if group in groups or digest(text) in digests}


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
