"""Ranking with Ray: blocks of documents are read and counted in tasks, the driver adds the counts up."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import ray
import torch

from clir_core.audit.corrections import Correction
from clir_core.audit.result import Embedded, TableRead
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.jobs.cluster import n_cpus, unwrapped
from clir_core.rank.outrank import PairCounts
from clir_core.rank.plan import Block, Plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.ranking import Batch, CountBlocks, Progress, in_turn, rank_block, rank_plan
from clir_core.rank.store import VectorTable

RowIds = Mapping[str, np.ndarray]


def rank_corpus(
    plan: Plan,
    corpus: Corpus,
    embedded: Embedded,
    directory: Path,
    progress: Progress,
    correction: Correction | None = None,
) -> Ranked:
    """Rank every gold in every pool of the plan, by stored vectors as they are or corrected.

    Writes ranks.parquet and topk.parquet into the directory.
    """
    stored, asked = open_read(embedded.documents), open_read(embedded.queries)
    found, found_queries = stored.find(document_texts(corpus)), asked.find(query_texts(corpus))
    rows = {lang: _in_order(found, documents.doc_id) for lang, documents in plan.documents.items()}
    vectors = {
        lang: asked.vectors(_in_order(found_queries, queries.query_id)) for lang, queries in plan.queries.items()
    }
    if correction:
        vectors = {lang: correction.of_queries(lang, vectors_QH) for lang, vectors_QH in vectors.items()}

    def read(lang: str, numbers: np.ndarray) -> np.ndarray:
        return _document_vectors(stored, lang, rows[lang][numbers], correction)

    return rank_plan(plan, vectors, read, _in_tasks(embedded.documents, rows, correction), directory, progress)


def open_read(read: TableRead) -> VectorTable:
    """The table at the version that the audit reads."""
    return VectorTable(read.uri, read.table, read.version)


def _in_order(found: pl.DataFrame, ids: pl.Series) -> np.ndarray:
    rows = pl.DataFrame({"id": ids}).join(found.select("id", "row_id"), on="id", how="left", maintain_order="left")
    return rows["row_id"].to_numpy()


def _document_vectors(stored: VectorTable, lang: str, row_ids: np.ndarray, correction: Correction | None) -> np.ndarray:
    vectors_DH = stored.vectors(row_ids)
    return correction.of_documents(lang, vectors_DH) if correction else vectors_DH


def _in_tasks(documents: TableRead, rows: RowIds, correction: Correction | None) -> CountBlocks:
    task = ray.remote(_count).options(num_cpus=1, max_retries=2)

    def count(blocks: Sequence[Block], batch: Batch) -> Iterable[PairCounts]:
        shared = ray.put((batch, correction))

        def start(block: Block) -> ray.ObjectRef:
            return task.remote(block, documents, rows[block.lang][block.start : block.stop], shared)

        return in_turn(blocks, start, unwrapped, n_cpus())

    return count


def _count(
    block: Block, documents: TableRead, row_ids: np.ndarray, shared: tuple[Batch, Correction | None]
) -> PairCounts:
    torch.set_num_threads(1)
    batch, correction = shared
    return rank_block(block, _document_vectors(open_read(documents), block.lang, row_ids, correction), batch)
