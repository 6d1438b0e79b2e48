"""Bare texts: passages and queries in any languages, without labels or pairs, that a head is fitted to."""

from collections.abc import Iterable

import polars as pl

from clir_core.align.spec import AlignSpec
from clir_core.corpus.same_text import digest
from clir_core.corpus.texts import documents_of, queries_of
from clir_core.errors import AlignError
from clir_core.sources import read_corpus

MOST = 256  # of a language and kind: a mean of so many lies where that of all does
FEWEST = 16  # of fewer the mean says too much of the texts themselves
# as triples call their sides: a passage or a query, the other one null
COLUMNS = {"group_id": pl.String, "lang": pl.String, "p_x": pl.String, "q_x": pl.String}


def bare_texts(spec: AlignSpec) -> pl.DataFrame:
    """Texts of the corpora that the head is fitted to, in all of their languages, sorted; no rows where it has none.

    Of each language and kind the MOST with the smallest digests: whichever order they are read in. AlignError where no
    language has FEWEST.
    """
    found = [
        frame
        for reference in spec.head_texts
        for corpus in [read_corpus(reference, reading=spec, training=True)]
        for frame in (
            documents_of(corpus).select("group_id", "lang", p_x="text", q_x=pl.lit(None, pl.String)),
            queries_of(corpus).select("group_id", "lang", p_x=pl.lit(None, pl.String), q_x="text"),
        )
    ]
    if not found:
        return pl.DataFrame(schema=COLUMNS)
    texts = _sampled(pl.concat(found))
    if texts.is_empty():
        raise AlignError(
            f"head_texts {', '.join(spec.head_texts)}: no language has {FEWEST} passages or queries; name larger ones"
        )
    return texts


def without_groups(texts: pl.DataFrame, groups: Iterable[str]) -> pl.DataFrame:
    """Those of other groups, such as are not held out."""
    return texts.filter(~pl.col("group_id").is_in(list(groups)))


def _sampled(texts: pl.DataFrame) -> pl.DataFrame:
    text = pl.coalesce("p_x", "q_x")
    own = texts.unique(["lang", "p_x", "q_x"], maintain_order=True)
    own = own.with_columns(digest=text.map_elements(digest, pl.String), kind=pl.col("p_x").is_null())
    groups = own.sort("lang", "kind", "digest").group_by("lang", "kind", maintain_order=True)
    kept = groups.head(MOST).filter(pl.len().over("lang", "kind") >= FEWEST)
    return kept.select(*COLUMNS)
