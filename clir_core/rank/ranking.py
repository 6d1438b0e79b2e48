"""The ranking: score every related document, count block by block what outranks the golds, write ranks and top lists.

Where vectors come from and who counts a block is passed in: threads of this process here, Ray's tasks in `jobs`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import torch

from clir_core.rank.batches import batches, check_fits
from clir_core.rank.forms import Form, Vectors, formed, joined
from clir_core.rank.outrank import Counts, PairCounts, Side, count_block, score_pairs
from clir_core.rank.plan import Block, Plan
from clir_core.rank.pools import describe, rank_golds, top_lists
from clir_core.rank.ranked import Ranked
from clir_core.workspace import layout
from clir_core.workspace.frames import frames_into
from clir_core.workspace.progress import Progress

BLOCK_DOCUMENTS = 8192

T = TypeVar("T")
# vectors of documents of a language, by number; dense ones float32 [numbers, H]
ReadVectors = Callable[[str, np.ndarray], Vectors]


@dataclass(frozen=True)
class Batch:
    """What blocks are counted for: queries by language, `formed`, sides of the pairs asked for, depth of the lists."""

    queries: Mapping[str, Form]
    sides: Mapping[tuple[str, str], Side]
    depth: int


# the counts of every block for a batch, in whatever order
CountBlocks = Callable[[Sequence[Block], Batch], Iterable[PairCounts]]


def rank_plan(
    plan: Plan,
    queries: Mapping[str, Vectors],
    read: ReadVectors,
    count: CountBlocks,
    directory: Path,
    progress: Progress,
) -> Ranked:
    """Rank every gold in every pool of the plan; ranks.parquet and topk.parquet go into the directory.

    queries are each language's vectors in the plan's order, dense ones [Q, H]. The plan takes in the scores of related
    documents.
    """
    check_fits(plan)
    tiles = {lang: formed(found) for lang, found in queries.items()}
    score_related(plan, tiles, read)
    parts = [(plan.part(list(chain(*batch))), batch) for batch in batches(plan)]
    report = _Report(progress, sum(len(part.blocks(BLOCK_DOCUMENTS)) for part, _ in parts))
    skipped, ties = [*plan.skipped], _Ties()
    with frames_into(directory / layout.RANKS) as write_ranks, frames_into(directory / layout.TOP) as write_top:
        for part, batch in parts:
            asked = Batch(tiles, part.sides(), plan.depth)
            counts = total(asked, report.each(count(part.blocks(BLOCK_DOCUMENTS), asked)))
            ties.add(part, counts)
            for pools in batch:
                found, left_out = rank_golds(part, pools, counts)
                write_ranks(_with_columns(found, plan.rank_languages))
                write_top(top_lists(part, pools, counts))
                skipped += left_out
            # else they would stay while the next are counted
            del asked, counts, found
    return Ranked(
        pools=describe(plan),
        skipped=tuple(skipped),
        ties=ties.exact,
        near_ties=ties.near,
        gold_ties=sum(count_gold_ties(plan, lang) for lang in plan.queries),
    )


def _with_columns(ranks: pl.DataFrame, languages: Sequence[str]) -> pl.DataFrame:
    """Ranks with a column for every language that any pool holds, null where these pools do not."""
    counts = [f"outranking_{lang}" for lang in languages]
    absent = [pl.lit(None, pl.Int32).alias(name) for name in counts if name not in ranks.columns]
    others = [name for name in ranks.columns if name not in counts]
    return ranks.with_columns(absent).select(*others, *counts)


class _Report:
    """Says how many of all batches' blocks are done."""

    def __init__(self, progress: Progress, n_blocks: int) -> None:
        self.progress, self.n_blocks, self.done = progress, n_blocks, 0

    def each(self, parts: Iterable[PairCounts]) -> Iterator[PairCounts]:
        for part in parts:
            yield part
            self.done += 1
            self.progress(self.done, self.n_blocks)


class _Ties:
    """Ties and near-ties of all batches: each gold's with the documents of a language once, however many count them."""

    def __init__(self) -> None:
        self.exact = self.near = 0
        self._seen: dict[tuple[str, str], tuple[str, ...]] = {}

    def add(self, plan: Plan, counts: PairCounts) -> None:
        for (query_lang, doc_lang), found in counts.items():
            golds = plan.asked[query_lang, doc_lang].gold_langs
            seen = self._seen.get((query_lang, doc_lang), ())
            new = tuple(lang for lang in golds if lang not in seen)
            rows = np.searchsorted(plan.gold_rows(query_lang, golds), plan.gold_rows(query_lang, new))
            self.exact += int(found.ties_GB[rows].sum())
            self.near += int(found.near_G[rows].sum())
            self._seen[query_lang, doc_lang] = seen + new


def count_gold_ties(plan: Plan, query_lang: str) -> int:
    """How many golds of a language's queries score exactly as another gold of the same query and pool, each once."""
    related = plan.queries[query_lang].related
    ties = np.zeros(len(related), bool)
    for gold_langs in {pool.gold_langs for pool in plan.pools if pool.query_lang == query_lang}:
        rows = plan.gold_rows(query_lang, gold_langs)
        rows = rows[np.lexsort((related.score[rows], related.query[rows]))]
        one, other = rows[:-1], rows[1:]
        same = (related.query[one] == related.query[other]) & (related.score[one] == related.score[other])
        ties[one[same]] = ties[other[same]] = True
    return int(ties.sum())


def in_threads(read: ReadVectors, workers: int) -> CountBlocks:
    """Counts blocks in so many threads of this process."""

    def count(blocks: Sequence[Block], batch: Batch) -> Iterator[PairCounts]:
        def work(block: Block) -> PairCounts:
            return rank_block(block, read(block.lang, np.arange(block.start, block.stop)), batch)

        with _one_thread_each(), ThreadPoolExecutor(workers) as threads:
            yield from in_turn(blocks, lambda block: threads.submit(work, block), lambda it: it.result(), workers)

    return count


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """Torch multiplies in the thread that asks: its own threads wait for one another, long where others are at work.

    Gives the number of threads that torch would have taken.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


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


def score_related(plan: Plan, queries: Mapping[str, Form], read: ReadVectors) -> None:
    """Fill in the score of every related document. `queries` holds each language's vectors, `formed`."""
    docs = {lang: _related_docs(plan, i) for i, lang in enumerate(plan.languages)}
    begin = np.cumsum([0, *(len(found) for found in docs.values())])
    vectors = joined([read(lang, found) for lang, found in docs.items() if len(found)])

    def score(lang: str) -> None:
        related = plan.queries[lang].related
        place = np.empty(len(related), np.int64)
        for i, doc_lang in enumerate(plan.languages):
            rows = related.lang == i
            place[rows] = begin[i] + np.searchsorted(docs[doc_lang], related.doc[rows])
        related.score[:] = score_pairs(queries[lang], vectors, related.query, place)

    with _one_thread_each() as workers, ThreadPoolExecutor(workers) as threads:
        list(threads.map(score, plan.queries))


def rank_block(block: Block, vectors: Vectors, batch: Batch) -> PairCounts:
    """Counts of one block, whose documents have these vectors, for every query language that asks for it."""
    docs = formed(vectors)
    return {
        (query_lang, doc_lang): count_block(
            batch.queries[query_lang], side, docs, block.start, len(vectors), block.bucket_D, batch.depth
        )
        for (query_lang, doc_lang), side in batch.sides.items()
        if doc_lang == block.lang
    }


def total(batch: Batch, parts: Iterable[PairCounts]) -> PairCounts:
    """The sum over blocks, in whatever order they come."""
    counts = {pair: Counts.empty(side, batch.depth) for pair, side in batch.sides.items()}
    for part in parts:
        for pair, found in part.items():
            counts[pair].add(found)
    return counts


def _related_docs(plan: Plan, lang: int) -> np.ndarray:
    found = [queries.related.doc[queries.related.lang == lang] for queries in plan.queries.values()]
    return np.unique(np.concatenate(found))
