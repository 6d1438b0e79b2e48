"""Ranking with Ray: blocks of documents are counted in tasks, the driver adds the counts up."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import ray
import torch

from clir_core.audit.corrections import Correction
from clir_core.audit.result import Embedded, Ranked, TableRead
from clir_core.corpus.tables import Corpus, Skipped, skip
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.jobs.cluster import n_cpus, unwrapped
from clir_core.rank.outrank import padded
from clir_core.rank.plan import Block, Plan
from clir_core.rank.pools import describe, rank_golds, top_lists
from clir_core.rank.ranking import PairCounts, Sides, rank_block, score_related, sides, total
from clir_core.rank.store import VectorTable
from clir_core.workspace.storage import explained

BLOCK_DOCUMENTS = 8192

Progress = Callable[[int, int], None]
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
    asked, document_rows, query_rows = _rows(plan, corpus, embedded)
    stored = open_read(embedded.documents)
    vectors = {lang: asked.vectors(row_ids) for lang, row_ids in query_rows.items()}
    if correction:
        vectors = {lang: correction.of_queries(lang, found) for lang, found in vectors.items()}
    queries = {lang: padded(found) for lang, found in vectors.items()}
    score_related(
        plan, queries, lambda lang, numbers: _document_vectors(stored, lang, document_rows[lang][numbers], correction)
    )
    counts = total(plan, _counted(plan, embedded.documents, document_rows, queries, progress, correction))
    ranks, skipped = rank_golds(plan, counts)
    top = top_lists(plan, counts)
    with explained(directory):
        ranks.write_parquet(directory / "ranks.parquet")
        top.write_parquet(directory / "topk.parquet")
    return Ranked(
        pools=describe(plan),
        skipped=(*_left_out(plan, corpus), *skipped),
        ties=sum(int(found.ties_GB.sum()) for found in counts.values()),
        near_ties=sum(int(found.near_G.sum()) for found in counts.values()),
    )


def _left_out(plan: Plan, corpus: Corpus) -> tuple[Skipped, ...]:
    """Queries that no pool can be asked: in a language without documents, or with golds in none of the languages."""
    asked = pl.concat([queries.query_id for queries in plan.queries.values()])
    left = pl.Series("query_id", corpus.queries["query_id"].to_pylist(), pl.String)
    left = left.filter(~left.is_in(asked.implode()))
    return skip("queries", "no relevant document, or no document at all, in their language's pools", left.to_list())


def _rows(plan: Plan, corpus: Corpus, embedded: Embedded) -> tuple[VectorTable, RowIds, RowIds]:
    """The queries' table, and for each language the row ids of the plan's documents and queries, by number."""
    asked = open_read(embedded.queries)
    documents = open_read(embedded.documents).find(document_texts(corpus))
    queries = asked.find(query_texts(corpus))
    return (
        asked,
        {lang: _in_order(documents, found.doc_id) for lang, found in plan.documents.items()},
        {lang: _in_order(queries, found.query_id) for lang, found in plan.queries.items()},
    )


def _in_order(found: pl.DataFrame, ids: pl.Series) -> np.ndarray:
    rows = pl.DataFrame({"id": ids}).join(found.select("id", "row_id"), on="id", how="left", maintain_order="left")
    return rows["row_id"].to_numpy()


def open_read(read: TableRead) -> VectorTable:
    """The table at the version that the audit reads."""
    return VectorTable(read.uri, read.table, read.version)


def _document_vectors(stored: VectorTable, lang: str, row_ids: np.ndarray, correction: Correction | None) -> np.ndarray:
    vectors_DH = stored.vectors(row_ids)
    return correction.of_documents(lang, vectors_DH) if correction else vectors_DH


def _counted(
    plan: Plan,
    documents: TableRead,
    rows: RowIds,
    queries: Mapping[str, torch.Tensor],
    progress: Progress,
    correction: Correction | None,
) -> Iterator[PairCounts]:
    shared = ray.put((queries, sides(plan), plan.depth, correction))
    blocks = plan.blocks(BLOCK_DOCUMENTS)
    task = ray.remote(_count).options(num_cpus=1, max_retries=2)
    running: deque[ray.ObjectRef] = deque()
    done = 0
    for block in blocks:
        at = slice(block.start, block.stop)
        running.append(
            task.remote(block, documents, rows[block.lang][at], plan.documents[block.lang].bucket_D[at], shared)
        )
        # two tasks a processor: enough to keep all busy, few enough that no more counts wait in memory
        while len(running) >= 2 * n_cpus():
            yield unwrapped(running.popleft())
            done += 1
            progress(done, len(blocks))
    while running:
        yield unwrapped(running.popleft())
        done += 1
        progress(done, len(blocks))


def _count(
    block: Block,
    documents: TableRead,
    row_ids: np.ndarray,
    bucket_D: np.ndarray,
    shared: tuple[Mapping[str, torch.Tensor], Sides, int, Correction | None],
) -> PairCounts:
    torch.set_num_threads(1)
    queries, pairs, depth, correction = shared
    vectors_DH = _document_vectors(open_read(documents), block.lang, row_ids, correction)
    return rank_block(block, bucket_D, vectors_DH, queries, pairs, depth)
