"""Corrections without training: what a language adds to every vector is taken out again before vectors are ranked.

Fitted on the documents of a training corpus, one language at a time, and applied to vectors as they are read, so
nothing is embedded again. As published, and as SHIFT's appendix C compares them, centring and LIR change documents and
queries, both by the documents' statistics; SHIFT changes documents alone and leaves the pivot where it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts
from clir_core.errors import CorpusError, SpecError
from clir_core.rank.store import VectorTable
from clir_core.sources import read_corpus, splits

BLOCK = 8192
# what a correction is fitted on where the spec does not say: never on documents whose queries the audit asks
FIT_BESIDE = {"test": "train", "dev": "fit"}


@dataclass(frozen=True)
class Removal:
    """What is taken out of a language's vectors: this vector itself, or all that lies along it (its length is 1)."""

    vector_H: np.ndarray
    is_direction: bool = False


@dataclass(frozen=True)
class Correction:
    """What is taken out of documents and queries of each language; None leaves them as they are, to the last bit.

    Where `unit`, vectors get length 1 again, as those of a checkpoint that ranks by cosine are stored.
    """

    documents: Mapping[str, Removal | None]
    queries: Mapping[str, Removal | None]
    unit: bool

    def of_documents(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Corrected vectors of documents of a language, float32 [N, H]."""
        return _corrected(self.documents[lang], vectors_NH, self.unit)

    def of_queries(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Corrected vectors of queries of a language, float32 [N, H]."""
        return _corrected(self.queries[lang], vectors_NH, self.unit)


def fit_reference(spec: EmbedSpec) -> str | None:
    """The corpus that the audit's correction is fitted on; None without one. SpecError where none can be guessed."""
    if not isinstance(spec, AuditSpec):
        return None
    if spec.correction is None or spec.correction_fit:
        return spec.correction_fit
    whole, split = splits.parse(spec.corpus)
    if not splits.has_parts(whole) or split not in FIT_BESIDE:
        raise SpecError(
            f"correction {spec.correction!r} needs a corpus to be fitted on, which is known for splits "
            f"{' and '.join(FIT_BESIDE)} of demo and xquad alone, not for {spec.corpus!r}; set correction_fit to a "
            "training corpus"
        )
    return f"{whole}#{FIT_BESIDE[split]}"


def read_fit_corpus(spec: EmbedSpec, languages: Sequence[str]) -> Corpus | None:
    """The corpus to fit on, in the languages of the audit; None without a correction. SpecError where it lacks one."""
    reference = fit_reference(spec)
    if not isinstance(spec, AuditSpec) or reference is None:
        return None
    try:
        return read_corpus(reference, languages, spec)
    except CorpusError as error:
        raise SpecError(
            f"correction {spec.correction!r} cannot be fitted on {reference!r}: {error}\n"
            f"set correction_fit to a corpus that has all of {', '.join(languages)}, or audit fewer `languages`"
        ) from error


def fit_correction(spec: AuditSpec, corpus: Corpus, table: VectorTable, unit: bool) -> Correction:
    """Fit the spec's correction on the documents of a corpus, whose vectors are in the table.

    With mu the mean of a language's vectors x, alpha the spec's correction_alpha, and mu' the means over the groups
    that have a document in both languages, this one and the pivot:
    centring  x - mu                        Libovicky et al. 2020, arXiv 2004.05160
    shift     x - alpha (mu' - mu'_pivot)      Jang et al. 2026, arXiv 2606.18801, equation 1 and algorithm 1
    lir       x - c (c . x)                 Yang et al. 2021, arXiv 2109.04727, r = 1: c is the first right singular
                                            vector of the matrix whose rows are the vectors, which are not centred
    Raises CorpusError where shift finds no translations.
    """
    rows = table.find(document_texts(corpus)).select("group_id", "lang", "row_id")
    if spec.correction == "shift":
        return Correction(
            {lang: _shift(rows, lang, table, spec.correction_alpha, corpus) for lang in corpus.languages},
            dict.fromkeys(corpus.languages),
            unit,
        )
    removals: dict[str, Removal | None] = {}
    for lang in corpus.languages:
        found = rows.filter(pl.col("lang") == lang)
        is_direction = spec.correction == "lir"
        removals[lang] = Removal((_direction if is_direction else _mean)(table, found), is_direction)
    return Correction(removals, removals, unit)


def _shift(rows: pl.DataFrame, lang: str, table: VectorTable, alpha: float, corpus: Corpus) -> Removal | None:
    if lang == corpus.pivot or not alpha:
        return None
    pivot = rows.filter(pl.col("lang") == corpus.pivot)
    pairs = rows.filter(pl.col("lang") == lang).join(pivot, on="group_id", suffix="_pivot").sort("group_id")
    if pairs.is_empty():
        raise CorpusError(
            f"corpus {corpus.name}: no document in {lang!r} has a version in {corpus.pivot!r}, and shift is fitted on "
            "translations; set correction_fit to a parallel corpus, or take centring or lir"
        )
    versions = pairs.select(row_id="row_id_pivot")
    return Removal(alpha * (_mean(table, pairs) - _mean(table, versions)))


def _mean(table: VectorTable, rows: pl.DataFrame) -> np.ndarray:
    total_H = np.zeros(table.dim)
    for vectors_NH in _blocks(table, rows):
        total_H += vectors_NH.sum(axis=0)
    return total_H / len(rows)


def _direction(table: VectorTable, rows: pl.DataFrame) -> np.ndarray:
    # the right singular vectors of M are the eigenvectors of M'M, which adds up over blocks
    gram_HH = np.zeros((table.dim, table.dim))
    for vectors_NH in _blocks(table, rows):
        gram_HH += vectors_NH.T @ vectors_NH
    return np.linalg.eigh(gram_HH).eigenvectors[:, -1]


def _blocks(table: VectorTable, rows: pl.DataFrame) -> Iterator[np.ndarray]:
    row_ids = rows["row_id"].to_numpy()
    for at in range(0, len(row_ids), BLOCK):
        yield table.vectors(row_ids[at : at + BLOCK]).astype(np.float64)


def _corrected(removal: Removal | None, vectors_NH: np.ndarray, unit: bool) -> np.ndarray:
    if removal is None:
        return vectors_NH
    out_NH = np.empty_like(vectors_NH, np.float32)
    for at in range(0, len(vectors_NH), BLOCK):
        block_NH = vectors_NH[at : at + BLOCK].astype(np.float64)
        # sums along a row, no matrix product: its last bits would depend on how many rows it is given
        along_N1 = (block_NH * removal.vector_H).sum(axis=1, keepdims=True) if removal.is_direction else 1.0
        block_NH -= along_N1 * removal.vector_H
        if unit:
            length_N1 = np.sqrt((block_NH * block_NH).sum(axis=1, keepdims=True))
            block_NH /= np.where(length_N1 > 0, length_N1, 1.0)
        out_NH[at : at + BLOCK] = block_NH
    return out_NH
