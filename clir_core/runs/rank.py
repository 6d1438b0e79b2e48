"""The ranking of an audit, from stored vectors to ranks.parquet and topk.parquet in its step's directory."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from clir_core.audit.result import Embedded, TableRead
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.correction import Correction
from clir_core.correct.fit import fit_correction
from clir_core.rank import batches
from clir_core.rank.plan import Plan, make_plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.ranking import CountBlocks, in_threads, rank_plan
from clir_core.rank.store import VectorTable
from clir_core.runs.workers import Ranking
from clir_core.workspace.progress import Bars, Progress
from clir_core.workspace.steps import once

RowIds = Mapping[str, np.ndarray]
# who counts blocks of a table's rows, corrected or as they are
CountRows = Callable[[TableRead, RowIds, Correction | None], CountBlocks]


def in_this_process(documents: TableRead, rows: RowIds, correction: Correction | None) -> CountBlocks:
    """Threads, as many as there are processors."""
    stored = open_read(documents)
    processors = os.cpu_count() or 1
    return in_threads(lambda lang, numbers: document_vectors(stored, lang, rows[lang][numbers], correction), processors)


def rank_once(asked: Ranking, bars: Bars, count: CountRows = in_this_process) -> tuple[Ranked, bool]:
    """Rank every gold in every pool of the audit; and whether that was done before."""
    spec, corpus, unit, embedded, fit, directory = asked

    def compute(scratch: Path) -> Ranked:
        plan = make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed)
        correction = fitted(spec, fit, embedded, unit) if fit else None
        return rank_corpus(plan, corpus, embedded, scratch, bars("rank"), correction, count)

    return once(directory, Ranked, compute)


def fitted(spec: AuditSpec, fit: Corpus, embedded: Embedded, unit: bool) -> Correction:
    """The audit's correction, fitted on the vectors that are stored."""
    documents, queries = (open_read(read) if read else None for read in (embedded.fit, embedded.bank))
    return fit_correction(spec, fit, documents, queries, unit)


def check_fits(spec: AuditSpec, corpus: Corpus) -> None:
    """SpecError where this machine has not the memory to rank what the audit asks for, whatever the vectors."""
    batches.check_fits(make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed))


def rank_corpus(
    plan: Plan,
    corpus: Corpus,
    embedded: Embedded,
    directory: Path,
    progress: Progress,
    correction: Correction | None = None,
    count: CountRows = in_this_process,
) -> Ranked:
    """Rank every gold in every pool of the plan, by stored vectors as they are or corrected.

    Writes ranks.parquet and topk.parquet into the directory.
    """
    assert embedded.documents and embedded.queries, "nothing is stored"
    stored, asked = open_read(embedded.documents), open_read(embedded.queries)
    places, query_places = stored.find(document_texts(corpus)), asked.find(query_texts(corpus))
    rows = {lang: _in_order(places, documents.doc_id) for lang, documents in plan.documents.items()}
    vectors = {lang: asked.vectors(_in_order(query_places, found.query_id)) for lang, found in plan.queries.items()}
    if correction:
        vectors = {lang: correction.of_queries(lang, vectors_QH) for lang, vectors_QH in vectors.items()}

    def read(lang: str, numbers: np.ndarray) -> np.ndarray:
        return document_vectors(stored, lang, rows[lang][numbers], correction)

    return rank_plan(plan, vectors, read, count(embedded.documents, rows, correction), directory, progress)


def document_vectors(stored: VectorTable, lang: str, row_ids: np.ndarray, correction: Correction | None) -> np.ndarray:
    """Vectors of documents of a language by their rows, corrected or as they are, float32 [rows, H]."""
    vectors_DH = stored.vectors(row_ids)
    return correction.of_documents(lang, vectors_DH) if correction else vectors_DH


def open_read(read: TableRead) -> VectorTable:
    """The table at the version that the audit reads."""
    return VectorTable(read.uri, read.table, read.version)


def _in_order(places: pl.DataFrame, ids: pl.Series) -> np.ndarray:
    rows = pl.DataFrame({"id": ids}).join(places.select("id", "row_id"), on="id", how="left", maintain_order="left")
    return rows["row_id"].to_numpy()
