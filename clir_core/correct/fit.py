"""Fitting a correction: one pass over the stored vectors of a corpus's documents, and of its unlabelled queries."""

from dataclasses import replace

import numpy as np
import polars as pl

from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.correction import Correction
from clir_core.correct.hub import Hub
from clir_core.correct.removal import Removal, moments_of
from clir_core.correct.spec import Corrects
from clir_core.errors import CorpusError
from clir_core.rank.store import VectorTable

MOST_QUERIES = 8192  # of a bank; beyond some hundred nothing changes


def fit_correction(
    spec: Corrects, corpus: Corpus, documents: VectorTable | None, queries: VectorTable | None, unit: bool
) -> Correction:
    """Fit the correction on the texts of a corpus, whose vectors are in these tables; None where it reads none.

    With mu the mean of a language's documents x, nu that of its queries, alpha the spec's correction_alpha, and mu' the
    means over the groups that have a document in both languages, this one and the pivot:
    centring  x - mu                        Libovicky et al. 2020, arXiv 2004.05160; queries, too, by mu
    mean      x - mu                        and queries by nu: a checkpoint with prompts puts them elsewhere
    shift     x - alpha (mu' - mu'_pivot)   Jang et al. 2026, arXiv 2606.18801, equation 1 and algorithm 1; queries stay
    lir       x - c (c . x)                 Yang et al. 2021, arXiv 2109.04727, r = 1: c is the first right singular
                                            vector; queries, too, by c
    hub       as in `clir_core.correct.hub`, after what takes the language out
    Raises CorpusError where shift finds no translations.
    """
    if spec.reads_documents:
        assert documents
        correction = _removals(spec, corpus, documents, queries, unit)
    else:
        as_they_are = dict.fromkeys({*corpus.languages, *corpus.queries["lang"].unique().to_pylist()})
        correction = Correction(as_they_are, as_they_are, unit)
    if not spec.has_hub:
        return correction
    assert queries
    return replace(correction, hub=_hub(spec, corpus, queries, correction))


def _removals(
    spec: Corrects, corpus: Corpus, documents: VectorTable, queries: VectorTable | None, unit: bool
) -> Correction:
    rows = documents.find(document_texts(corpus)).select("group_id", "lang", "row_id")
    if spec.removal == "shift":
        return Correction(
            {lang: _shift(rows, lang, documents, spec.correction_alpha, corpus) for lang in corpus.languages},
            dict.fromkeys(corpus.languages),
            unit,
        )
    method = str(spec.removal)
    found = {
        lang: moments_of(documents, _of(rows, lang), with_gram=method == "lir").removal(method)
        for lang in corpus.languages
    }
    if spec.removal != "mean":
        return Correction(found, found, unit)
    assert queries
    asked = queries.find(query_texts(corpus)).select("lang", "row_id")
    return Correction(
        found, {lang: moments_of(queries, _of(asked, lang)).removal("mean") for lang in corpus.languages}, unit
    )


def _shift(rows: pl.DataFrame, lang: str, table: VectorTable, alpha: float, corpus: Corpus) -> Removal | None:
    if lang == corpus.pivot or not alpha:
        return None
    pairs = _of(rows, lang).join(_of(rows, corpus.pivot), on="group_id", suffix="_pivot").sort("group_id")
    if pairs.is_empty():
        raise CorpusError(
            f"corpus {corpus.name}: no document in {lang!r} has a version in {corpus.pivot!r}, and shift is fitted on "
            "translations; set correction_fit to a parallel corpus, or take centring or lir"
        )
    versions = pairs.select(row_id="row_id_pivot")
    return Removal(alpha * (moments_of(table, pairs).mean() - moments_of(table, versions).mean()))


def _hub(spec: Corrects, corpus: Corpus, table: VectorTable, correction: Correction) -> Hub:
    # by their texts' hashes: an order that no language, id or file decides
    rows = table.find(query_texts(corpus)).sort("text_hash", "id").group_by("lang", maintain_order=True)
    vectors = {
        str(lang): correction.without_language(str(lang), table.vectors(found["row_id"].head(MOST_QUERIES).to_numpy()))
        for (lang,), found in rows
    }
    if spec.correction_languages == "all":
        vectors = {"": np.concatenate([vectors[lang] for lang in sorted(vectors)])}
    return Hub(dict(sorted(vectors.items())), spec.correction_k, spec.correction_weight)


def _of(rows: pl.DataFrame, lang: str) -> pl.DataFrame:
    return rows.filter(pl.col("lang") == lang)
