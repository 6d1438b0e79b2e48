"""Bare texts: passages and queries in any languages, without labels or pairs, that a head is fitted to.

Of several kinds, for the language shows otherwise in a title, a sentence and a paragraph: beside a corpus's passages
and queries the openings of passages, as short as titles, and where passages are sentences, several in a row.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from clir_core.align.spec import AlignSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import AlignError
from clir_core.sources import read_corpus

MOST = 128  # of a language and kind: a mean of so many lies where that of all does
FEWEST = 16  # of fewer the mean says too much of the texts themselves
SENTENCE = 300  # characters: passages that are shorter, by the median of all, are sentences
IN_A_ROW = 4
_WORDS, _LETTERS = 5, 12  # of an opening; letters where no spaces part words
_LONG = 15  # letters a word, on average, where they do not
# as triples call their sides: a passage or a query, the other one null
COLUMNS = {"group_id": pl.String, "lang": pl.String, "kind": pl.String, "p_x": pl.String, "q_x": pl.String}


def bare_texts(spec: AlignSpec) -> pl.DataFrame:
    """Texts of the corpora that the head is fitted to, in all of their languages; no rows where it has none.

    Of each language and kind the MOST with the smallest hashes: whichever order they are read in. AlignError where no
    language has FEWEST.
    """
    found = [
        frame
        for at, reference in enumerate(dict.fromkeys(spec.head_texts))
        for frame in _of_corpus(f"corpus {at + 1}", read_corpus(reference, reading=spec, training=True, texts=True))
    ]
    if not found:
        return pl.DataFrame(schema=COLUMNS)
    texts = pl.concat(found)
    if texts.is_empty():
        raise AlignError(
            f"head_texts {', '.join(spec.head_texts)}: no language has {FEWEST} passages or queries; name larger ones"
        )
    return texts


def without_groups(texts: pl.DataFrame, groups: Iterable[str]) -> pl.DataFrame:
    """Those of other groups, such as are not held out."""
    return texts.filter(~pl.col("group_id").is_in(list(groups)))


def _of_corpus(name: str, corpus: Corpus) -> Iterator[pl.DataFrame]:
    passages, queries = _sampled(document_texts(corpus)), _sampled(query_texts(corpus))
    yield _rows(passages, f"{name}, passages", "p_x")
    yield _rows(queries, f"{name}, queries", "q_x")
    opened = passages.with_columns(text=pl.col("text").map_elements(opening, pl.String))
    yield _rows(opened, f"{name}, openings", "q_x")
    if len(passages) and float(np.median(passages["text"].str.len_chars())) < SENTENCE:
        yield _rows(_in_a_row(passages), f"{name}, sentences in a row", "p_x")


def opening(text: str) -> str:
    """As short as a title: the first words."""
    words = text.split()[:_WORDS]
    told = " ".join(words)
    return told if len(words) == _WORDS and len(told) < _WORDS * _LONG else text[:_LETTERS]


def _sampled(texts: pl.DataFrame) -> pl.DataFrame:
    own = texts.unique(["lang", "text"], maintain_order=True).sort("lang", "text_hash")
    return own.group_by("lang", maintain_order=True).head(MOST).filter(pl.len().over("lang") >= FEWEST)


def _in_a_row(sentences: pl.DataFrame) -> pl.DataFrame:
    """Sentences joined by fours, in the order of their hashes; of the first one's group."""
    row = pl.int_range(pl.len()).over("lang") // IN_A_ROW
    joined = sentences.group_by("lang", row.alias("row"), maintain_order=True)
    return joined.agg(pl.col("group_id").first(), pl.col("text").str.join("\n"))


def _rows(texts: pl.DataFrame, kind: str, side: str) -> pl.DataFrame:
    sides = {name: pl.col("text") if name == side else pl.lit(None, pl.String) for name in ("p_x", "q_x")}
    return texts.select("group_id", "lang", kind=pl.lit(kind), **sides)
