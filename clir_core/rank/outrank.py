"""The counting kernel: how many unrelated documents score at least as high as each gold, per hash bucket.

A rank is one plus the documents that outrank, so these counts give the rank in every pool, and counts of disjoint
blocks of documents add up. Scores come from tiles of one constant shape, padded: a product of another shape may differ
in the last bit and turn a near-tie. So no figure depends on the size, the order or the number of blocks.

Two layouts recur. A ragged array belongs to queries through `first_Q`: the rows of query q are first_Q[q]:first_Q[q+1].
Documents of a block are sorted by hash bucket, so a bucket is a run of columns.
"""

from dataclasses import dataclass

import numba
import numpy as np
import torch

from clir_core.rank.forms import TILE, Form, gathered, score_tile, tile_of

NEAR = 1e-6


@dataclass(frozen=True)
class Side:
    """Queries of one language against documents of one language: whom to count for, whom to leave out.

    Documents are numbered within their language. `related_*` are the golds and their translations in the documents'
    language, which never count as unrelated; `threshold_*` are the scores of the golds, of any language, to count for.
    Counts are kept by hash bucket (n_buckets is 10) only where a pool asks for some of the buckets, else in one.
    """

    related_first_Q: np.ndarray
    related_doc: np.ndarray
    threshold_first_Q: np.ndarray
    threshold: np.ndarray
    n_buckets: int

    @property
    def n_queries(self) -> int:
        """How many queries there are."""
        return len(self.related_first_Q) - 1


@dataclass(frozen=True)
class Counts:
    """What one block, or several in sum, say of one Side. G are its thresholds, B its buckets, K the lists' depth."""

    above_GB: np.ndarray
    ties_GB: np.ndarray
    near_G: np.ndarray
    top_score_QK: np.ndarray
    top_doc_QK: np.ndarray

    @staticmethod
    def empty(side: Side, depth: int) -> "Counts":
        """The counts of no document."""
        n_thresholds = len(side.threshold)
        return Counts(
            np.zeros((n_thresholds, side.n_buckets), np.int32),
            np.zeros((n_thresholds, side.n_buckets), np.int32),
            np.zeros(n_thresholds, np.int32),
            np.full((side.n_queries, depth), -np.inf, np.float32),
            np.full((side.n_queries, depth), -1, np.int64),
        )

    def add(self, other: "Counts") -> None:
        """Take in the counts of another, disjoint block; in place."""
        np.add(self.above_GB, other.above_GB, out=self.above_GB)
        np.add(self.ties_GB, other.ties_GB, out=self.ties_GB)
        np.add(self.near_G, other.near_G, out=self.near_G)
        _merge_tops(self.top_score_QK, self.top_doc_QK, other.top_score_QK, other.top_doc_QK)


# by query and document language
PairCounts = dict[tuple[str, str], Counts]


def count_block(
    queries: Form,
    side: Side,
    docs: Form,
    first_doc: int,
    n_docs: int,
    bucket_D: np.ndarray,
    depth: int,
) -> Counts:
    """Count one block of documents, numbered from first_doc, for all queries of a side.

    queries and docs come from `formed`; bucket_D [n_docs] is sorted.
    """
    counts = Counts.empty(side, depth)
    scores_TT = torch.empty(TILE, TILE)
    for doc_at in range(0, n_docs, TILE):
        width = min(TILE, n_docs - doc_at)
        starts = np.array([0, width])
        if side.n_buckets > 1:
            starts = np.searchsorted(bucket_D[doc_at : doc_at + width], np.arange(side.n_buckets + 1))
        tile = tile_of(docs, doc_at)
        for query_at in range(0, side.n_queries, TILE):
            score_tile(queries, query_at, tile, scores_TT)
            _count_tile(
                scores_TT.numpy(),
                query_at,
                min(TILE, side.n_queries - query_at),
                first_doc + doc_at,
                width,
                starts,
                side.related_first_Q,
                side.related_doc,
                side.threshold_first_Q,
                side.threshold,
                counts.above_GB,
                counts.ties_GB,
                counts.near_G,
                counts.top_score_QK,
                counts.top_doc_QK,
            )
    return counts


def score_pairs(queries: Form, docs: Form, pair_query: np.ndarray, pair_doc: np.ndarray) -> np.ndarray:
    """Scores of (query, document) pairs, float32 [pairs], out of the same tiles as the counts' scores.

    A score computed by itself, as a dot product of two vectors, differs in the last bit and misranks near-ties.
    Cheap where neighbouring queries share documents. pair_query is sorted. `docs` may be not padded.
    """
    scores = np.empty(len(pair_query), np.float32)
    scores_TT = torch.empty(TILE, TILE)
    for query_at in range(0, len(queries), TILE):
        begin, end = np.searchsorted(pair_query, [query_at, query_at + TILE])
        found, column = np.unique(pair_doc[begin:end], return_inverse=True)
        tile_scores = np.empty((TILE, len(found)), np.float32)
        for doc_at in range(0, len(found), TILE):
            score_tile(queries, query_at, gathered(docs, found[doc_at : doc_at + TILE]), scores_TT)
            tile_scores[:, doc_at : doc_at + TILE] = scores_TT.numpy()[:, : len(found) - doc_at]
        scores[begin:end] = tile_scores[pair_query[begin:end] - query_at, column]
    return scores


@numba.njit(nogil=True, cache=True)
def _count_tile(
    scores: np.ndarray,
    query_at: int,
    n_queries: int,
    first_doc: int,
    n_docs: int,
    starts: np.ndarray,
    related_first: np.ndarray,
    related_doc: np.ndarray,
    threshold_first: np.ndarray,
    threshold: np.ndarray,
    above: np.ndarray,
    ties: np.ndarray,
    near: np.ndarray,
    top_score: np.ndarray,
    top_doc: np.ndarray,
) -> None:
    """One tile of scores; the last five arrays take what it adds. `starts` are the columns where buckets begin."""
    for row in range(n_queries):
        query = query_at + row
        line = scores[row]
        for doc in range(n_docs):
            _offer(line[doc], first_doc + doc, top_score[query], top_doc[query])
        for r in range(related_first[query], related_first[query + 1]):
            doc = related_doc[r] - first_doc
            if 0 <= doc < n_docs:
                line[doc] = -np.inf
        for g in range(threshold_first[query], threshold_first[query + 1]):
            gold = threshold[g]
            close = some = 0
            for doc in range(n_docs):
                close += abs(line[doc] - gold) <= np.float32(NEAR)
                some += line[doc] >= gold
            near[g] += close
            # most golds are outranked in few of the languages
            if some and len(starts) == 2:
                above[g, 0] += some
            elif some:
                for bucket in range(len(starts) - 1):
                    higher = 0
                    for doc in range(starts[bucket], starts[bucket + 1]):
                        higher += line[doc] >= gold
                    above[g, bucket] += higher
            if close:
                for bucket in range(len(starts) - 1):
                    for doc in range(starts[bucket], starts[bucket + 1]):
                        ties[g, bucket] += line[doc] == gold


@numba.njit(nogil=True, cache=True)
def _offer(score: float, doc: int, top_score: np.ndarray, top_doc: np.ndarray) -> None:
    """Put a document into a top list, best first; of equal scores the lower number comes first."""
    at = len(top_score) - 1
    if at < 0 or score < top_score[at] or (score == top_score[at] and doc > top_doc[at]):
        return
    while at > 0 and (top_score[at - 1] < score or (top_score[at - 1] == score and top_doc[at - 1] > doc)):
        top_score[at] = top_score[at - 1]
        top_doc[at] = top_doc[at - 1]
        at -= 1
    top_score[at] = score
    top_doc[at] = doc


@numba.njit(nogil=True, cache=True)
def _merge_tops(top_score: np.ndarray, top_doc: np.ndarray, other_score: np.ndarray, other_doc: np.ndarray) -> None:
    for query in range(top_score.shape[0]):
        for k in range(top_score.shape[1]):
            if other_doc[query, k] >= 0:
                _offer(other_score[query, k], other_doc[query, k], top_score[query], top_doc[query])


@numba.njit(nogil=True, cache=True)
def count_related(
    first_Q: np.ndarray, query: np.ndarray, score: np.ndarray, place: np.ndarray, counted: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """How many `counted` related documents of the same query come before each of these, int32 [rows].

    query, score, place and counted are of all related documents. The higher score comes first, then the lower place,
    then the lower row.
    """
    above = np.zeros(len(rows), np.int32)
    for i in range(len(rows)):
        row = rows[i]
        found = 0
        for other in range(first_Q[query[row]], first_Q[query[row] + 1]):
            if counted[other] and score[other] >= score[row]:
                found += score[other] > score[row] or (place[other], other) < (place[row], row)
        above[i] = found
    return above


@numba.njit(nogil=True, cache=True)
def sum_buckets(counts_GB: np.ndarray, rows: np.ndarray, first: int, end: int) -> np.ndarray:
    """Counts of these rows in the buckets first:end, int32 [rows]."""
    sums = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        found = 0
        for bucket in range(first, end):
            found += counts_GB[rows[i], bucket]
        sums[i] = found
    return sums
