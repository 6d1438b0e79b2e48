"""One pass over the vectors: score every related document, then count what outranks the golds, block by block."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch

from clir_core.rank.outrank import Counts, Side, count_block, padded, score_pairs
from clir_core.rank.plan import Block, Plan

# vectors of documents of a language, by number
ReadVectors = Callable[[str, np.ndarray], np.ndarray]
Sides = Mapping[tuple[str, str], Side]
PairCounts = dict[tuple[str, str], Counts]


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


def rank_block(
    block: Block,
    bucket_D: np.ndarray,
    vectors_DH: np.ndarray,
    queries: Mapping[str, torch.Tensor],
    sides: Sides,
    depth: int,
) -> PairCounts:
    """Counts of one block for every query language that asks for it."""
    docs_DH = padded(vectors_DH)
    return {
        (query_lang, doc_lang): count_block(
            queries[query_lang], side, docs_DH, block.start, len(vectors_DH), bucket_D, depth
        )
        for (query_lang, doc_lang), side in sides.items()
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


def _related_docs(plan: Plan, lang: int) -> np.ndarray:
    found = [queries.related.doc[queries.related.lang == lang] for queries in plan.queries.values()]
    return np.unique(np.concatenate(found))
