"""The guard against training on what is tested: groups and texts of an evaluation corpus found in a training set.

Only exact copies are found, whatever their case, punctuation, spaces and Unicode form; not paraphrases.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from clir_core.align.data import golds
from clir_core.corpus.same_text import digest
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import AlignError
from clir_core.spec import Spec

EVERYTHING = "*"
_SHOWN, _EXAMPLE = 20, 60
Kind = Literal["passage", "query"]
Key = tuple[Kind, str]


class Finding(Spec):
    """One group of the evaluation corpus that is in the training set."""

    kind: Kind = Field(description="A relevant passage, or a query")
    group_id: str
    answers: tuple[str, ...] = Field((), description="Of a query, the groups of its relevant passages")
    same_id: int = Field(description="Triples with this group id")
    same_text: int = Field(description="Triples with a text of this group, in any language")
    columns: tuple[str, ...] = Field(description="Columns of the triples that hold it")
    example: str = Field("", description="The start of a text that is the same")

    def allowed_by(self, allow: Sequence[str]) -> bool:
        """By its own group id; a query by its passages', too."""
        by_answers = bool(self.answers) and set(self.answers) <= set(allow)
        return EVERYTHING in allow or self.group_id in allow or by_answers

    def __str__(self) -> str:
        answered = f", answered by {', '.join(self.answers)}" if self.answers else ""
        example = f": {self.example!r}" if self.example else ""
        return (
            f"{self.kind} {self.group_id}{answered}: its id in {self.same_id} triples, a text of it in "
            f"{self.same_text} ({', '.join(self.columns)}){example}"
        )


class Contamination(Spec):
    """What a training set shares with an evaluation corpus."""

    found: tuple[Finding, ...] = Field(description="Queries, and passages that answer them")
    allowed: tuple[Finding, ...] = Field((), description="Those of `found` that the user allowed by name")
    pool_only: tuple[str, ...] = Field(description="Groups in training that the evaluation has as distractors only")


def check(
    triples: pa.Table, evaluation: Corpus, allow: Sequence[str], bare: pl.DataFrame | None = None
) -> Contamination:
    """What is shared, all of it allowed; AlignError with a list where something is not."""
    shared = contamination(triples, evaluation, bare)
    wrong = [str(finding) for finding in shared.found if not finding.allowed_by(allow)]
    if not wrong:
        return shared.model_copy(update={"allowed": shared.found})
    more = (f"... and {len(wrong) - _SHOWN} more",) if len(wrong) > _SHOWN else ()
    what = (
        f"the training set holds queries or their answers of evaluation corpus {evaluation.name}, in all {len(wrong)}:"
    )
    way_out = (
        "Train on another part, such as #train against #test. Or name groups in allow_contamination (a passage's id "
        f"allows its queries as well, {EVERYTHING} allows everything): the report will say so"
    )
    listed = [f"  - {line}" for line in (*wrong[:_SHOWN], *more)]
    raise AlignError("\n".join([what, *listed, way_out]))


def contamination(triples: pa.Table, evaluation: Corpus, bare: pl.DataFrame | None = None) -> Contamination:
    """Judged groups of the evaluation in the training set, by id and by text in any language; and its other groups.

    Bare texts belong to the training set. Give the evaluation in all of its languages: one that was not read cannot be
    compared by text.
    """
    answers = _answers(evaluation)
    known = _known(evaluation)
    seen: dict[Key, _Seen] = defaultdict(_Seen)
    for row, triple in enumerate(triples.to_pylist()):
        seen["passage", triple["group_id"]].add_id(row, "group_id")
        seen["query", triple["query_group_id"]].add_id(row, "query_group_id")
        for side, text in _texts(triple):
            for key in known.get(digest(text), ()):
                seen[key].add_text(row, side, text)
    for row, (group, text, kind) in enumerate(_bare_rows(bare), start=len(triples)):
        seen[kind, group].add_id(row, "head_texts")
        for key in known.get(digest(text), ()):
            seen[key].add_text(row, "head_texts", text)
    judged = {*answers, *(("passage", group) for groups in answers.values() for group in groups)}
    pool = {("passage", group) for group in evaluation.documents["group_id"].to_pylist()} - judged
    return Contamination(
        found=tuple(seen[key].finding(key, answers.get(key, ())) for key in sorted(judged & seen.keys())),
        pool_only=tuple(sorted(group for _, group in pool & seen.keys())),
    )


@dataclass
class _Seen:
    """Rows of the training set that hold one group, and in which columns."""

    ids: set[int] = field(default_factory=set)
    texts: set[int] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    example: str = ""

    def add_id(self, row: int, column: str) -> None:
        self.ids.add(row)
        self.columns.add(column)

    def add_text(self, row: int, column: str, text: str) -> None:
        self.texts.add(row)
        self.columns.add(column)
        self.example = self.example or (text if len(text) <= _EXAMPLE else text[: _EXAMPLE - 3] + "...")

    def finding(self, key: Key, answers: tuple[str, ...]) -> Finding:
        kind, group = key
        return Finding(
            kind=kind,
            group_id=group,
            answers=answers,
            same_id=len(self.ids),
            same_text=len(self.texts),
            columns=tuple(sorted(self.columns)),
            example=self.example,
        )


def _answers(evaluation: Corpus) -> dict[Key, tuple[str, ...]]:
    """Of every group of queries, the groups that answer it."""
    queries = query_texts(evaluation).select("group_id", query_id="id")
    found = queries.join(golds(evaluation), on="query_id", suffix="_gold")
    by_group = found.group_by("group_id").agg(pl.col("group_id_gold").unique().sort())
    return {("query", group): tuple(answers) for group, answers in by_group.iter_rows()}


def _known(evaluation: Corpus) -> dict[str, set[Key]]:
    """Which groups each text is of, in any language; passages with and without their titles."""
    documents, queries = document_texts(evaluation), query_texts(evaluation)
    untitled = zip(evaluation.documents["group_id"].to_pylist(), evaluation.documents["text"].to_pylist(), strict=True)
    known: dict[str, set[Key]] = defaultdict(set)
    for group, text in (*documents.select("group_id", "text").iter_rows(), *untitled):
        known[digest(text)].add(("passage", group))
    for group, text in queries.select("group_id", "text").iter_rows():
        known[digest(text)].add(("query", group))
    return known


def _bare_rows(bare: pl.DataFrame | None) -> Iterator[tuple[str, str, Kind]]:
    """Group, text and kind of each bare text."""
    for group, passage, query in bare.select("group_id", "p_x", "q_x").iter_rows() if bare is not None else ():
        yield (group, query, "query") if passage is None else (group, passage, "passage")


def _texts(triple: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text of a triple, with its column."""
    yield from ((column, triple[column]) for column in ("q_en", "p_en", "p_x"))
    if triple["q_x"] is not None:
        yield "q_x", triple["q_x"]
    yield from (("negatives", text) for text in triple["negatives"])
