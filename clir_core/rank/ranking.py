"""The ranking: score every related document, count block by block what outranks the golds, write ranks and top lists.

Where vectors come from and who counts a block is passed in: threads of this process here, Ray's tasks in `jobs`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from clir_core.rank.outrank import Counts, PairCounts, Side, count_block, padded, score_pairs
from clir_core.rank.plan import Block, Plan
from clir_core.rank.pools import describe, rank_golds, top_lists
from clir_core.rank.ranked import Ranked
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_file
from clir_core.workspace.progress import Progress

BLOCK_DOCUMENTS = 8192

T = TypeVar("T")
# vectors of documents of a language, by number, float32 [numbers, H]
ReadVectors = Callable[[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Batch:
    """What blocks are counted for: padded queries by language, sides of the pairs asked for, depth of the lists."""

    queries: Mapping[str, torch.Tensor]
    sides: Mapping[tuple[str, str], Side]
    depth: int


# the counts of every block for a batch, in whatever order
CountBlocks = Callable[[Sequence[Block], Batch], Iterable[PairCounts]]


def rank_plan(
    plan: Plan,
    queries: Mapping[str, np.ndarray],
    read: ReadVectors,
    count: CountBlocks,
    directory: Path,
    progress: Progress,
) -> Ranked:
    """Rank every gold in every pool of the plan; ranks.parquet and topk.parquet go into the directory.

    queries are each language's vectors [Q, H], in the plan's order. The plan takes in the scores of related documents.
    """
    tiles = {lang: padded(found) for lang, found in queries.items()}
    score_related(plan, tiles, read)
    blocks = plan.blocks(BLOCK_DOCUMENTS)
    parts = count(blocks, Batch(tiles, sides(plan), plan.depth))
    counts = total(plan, _reported(parts, len(blocks), progress))
    ranks, skipped = rank_golds(plan, counts)
    top = top_lists(plan, counts)
    write_file(directory / layout.RANKS, ranks.write_parquet)
    write_file(directory / layout.TOP, top.write_parquet)
    return Ranked(
        pools=describe(plan),
        skipped=(*plan.skipped, *skipped),
        ties=sum(int(found.ties_GB.sum()) for found in counts.values()),
        near_ties=sum(int(found.near_G.sum()) for found in counts.values()),
    )


def in_threads(read: ReadVectors, workers: int) -> CountBlocks:
    """Counts blocks in so many threads of this process."""

    def count(blocks: Sequence[Block], batch: Batch) -> Iterator[PairCounts]:
        def work(block: Block) -> PairCounts:
            return rank_block(block, read(block.lang, np.arange(block.start, block.stop)), batch)

        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(workers) as threads:
                yield from in_turn(blocks, lambda block: threads.submit(work, block), lambda it: it.result(), workers)
        finally:
            torch.set_num_threads(before)

    return count


def in_turn(
    blocks: Sequence[Block], start: Callable[[Block], T], finish: Callable[[T], PairCounts], workers: int
) -> Iterator[PairCounts]:
    """Start counting blocks and give their counts as they are done, first come first served."""
    running: deque[T] = deque()
    for block in blocks:
        running.append(start(block))
        # two a worker: enough to keep all busy, few enough that no more counts wait in memory
        while len(running) >= 2 * workers:
            yield finish(running.popleft())
    while running:
        yield finish(running.popleft())


def score_related(plan: Plan, queries: Mapping[str, torch.Tensor], read: ReadVectors) -> None:
    """Fill in the score of every related document. `queries` holds each language's padded vectors."""
    docs = {lang: _related_docs(plan, i) for i, lang in enumerate(plan.languages)}
    begin = np.cumsum([0, *(len(found) for found in docs.values())])
    vectors = [read(lang, found) for lang, found in docs.items() if len(found)]
    docs_RH = torch.from_numpy(np.concatenate(vectors))
    for lang, found in plan.queries.items():
        related = found.related
        place = np.empty(len(related.doc), np.int64)
        for i, doc_lang in enumerate(plan.languages):
            rows = related.lang == i
            place[rows] = begin[i] + np.searchsorted(docs[doc_lang], related.doc[rows])
        related.score[:] = score_pairs(queries[lang], docs_RH, related.query, place)


def sides(plan: Plan) -> dict[tuple[str, str], Side]:
    """Every pair's side; the scores must be filled in."""
    return {pair: plan.side(*pair) for pair in plan.pairs()}


def rank_block(block: Block, vectors_DH: np.ndarray, batch: Batch) -> PairCounts:
    """Counts of one block, whose documents have these vectors, for every query language that asks for it."""
    docs_DH = padded(vectors_DH)
    return {
        (query_lang, doc_lang): count_block(
            batch.queries[query_lang], side, docs_DH, block.start, len(vectors_DH), block.bucket_D, batch.depth
        )
        for (query_lang, doc_lang), side in batch.sides.items()
        if doc_lang == block.lang
    }


def empty_counts(plan: Plan) -> PairCounts:
    """The counts before the first block."""
    depth = plan.depth
    return {pair: Counts.empty(len(plan.gold_rows(*pair)), len(plan.queries[pair[0]]), depth) for pair in plan.pairs()}


def total(plan: Plan, parts: Iterable[PairCounts]) -> PairCounts:
    """The sum over blocks, in whatever order they come."""
    counts = empty_counts(plan)
    for part in parts:
        for pair, found in part.items():
            counts[pair].add(found)
    return counts


def _reported(parts: Iterable[PairCounts], n_parts: int, progress: Progress) -> Iterator[PairCounts]:
    for done, part in enumerate(parts, 1):
        yield part
        progress(done, n_parts)


def _related_docs(plan: Plan, lang: int) -> np.ndarray:
    found = [queries.related.doc[queries.related.lang == lang] for queries in plan.queries.values()]
    return np.unique(np.concatenate(found))
