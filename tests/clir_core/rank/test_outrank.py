"""The counting kernel against plain numpy, on random and on nasty blocks; and its scores, bit for bit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.rank.forms import TILE, padded
from clir_core.rank.outrank import Counts, Side, count_block, count_related, score_pairs


@dataclass(frozen=True)
class Block:
    """Queries, documents and who is related to whom; the thresholds are scores of documents or in between."""

    queries: np.ndarray
    docs: np.ndarray
    bucket: np.ndarray
    related: list[list[int]]
    thresholds: list[list[float]]
    n_buckets: int = 10

    @property
    def side(self) -> Side:
        related_first, related = _ragged(self.related, np.int64)
        threshold_first, threshold = _ragged(self.thresholds, np.float32)
        return Side(related_first, related, threshold_first, threshold, self.n_buckets)

    def count(self, depth: int, cuts: tuple[int, ...] = (), order: list[int] | None = None) -> Counts:
        """The kernel's answer, with the documents cut into blocks at these places, added up in this order."""
        edges = [0, *cuts, len(self.docs)]
        blocks = list(pairwise(edges))
        queries_QH, side = padded(self.queries), self.side
        counts = Counts.empty(side, depth)
        for start, stop in [blocks[i] for i in order] if order else blocks:
            docs_DH = padded(self.docs[start:stop])
            counts.add(count_block(queries_QH, side, docs_DH, start, stop - start, self.bucket[start:stop], depth))
        return counts


def _ragged(rows: list[list], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    first = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    return first, np.array([value for row in rows for value in row], dtype)


def brute(block: Block, depth: int) -> Counts:
    """Every count by comparing one document at a time; every top list by sorting."""
    scores_QD = (block.queries.astype(np.float64) @ block.docs.astype(np.float64).T).astype(np.float32)
    expected = Counts.empty(block.side, depth)
    g = 0
    for query, line in enumerate(scores_QD):
        for threshold in np.array(block.thresholds[query], np.float32):
            for doc, score in enumerate(line):
                if doc not in block.related[query]:
                    expected.above_GB[g, block.bucket[doc]] += score >= threshold
                    expected.ties_GB[g, block.bucket[doc]] += score == threshold
                    expected.near_G[g] += abs(score - threshold) <= np.float32(1e-6)
            g += 1
        best = sorted(range(len(line)), key=lambda doc: (-line[doc], doc))[:depth]
        expected.top_score_QK[query, : len(best)] = line[best]
        expected.top_doc_QK[query, : len(best)] = best
    return expected


def assert_equal(found: Counts, expected: Counts) -> None:
    for name in ("above_GB", "ties_GB", "near_G", "top_score_QK", "top_doc_QK"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def make_block(n_queries: int, n_docs: int, span: int, seed: int, most: int = 4, near: bool = False) -> Block:
    """Small integers, so that scores are exact and often equal. Some thresholds lie beside every score."""
    rng = np.random.default_rng(seed)
    queries_QH = rng.integers(-span, span + 1, (n_queries, 5)).astype(np.float32)
    docs_DH = rng.integers(-span, span + 1, (n_docs, 5)).astype(np.float32)
    off = [0, 0, 0.5, 2.0**-20, -(2.0**-20), 2.0**-18] if near else [0, 0, 0.5]
    thresholds = []
    for query_H in queries_QH:
        golds = docs_DH[rng.integers(0, n_docs, rng.integers(0, most + 1))]
        thresholds.append([float(gold @ query_H + rng.choice(off)) for gold in golds])
    related = [sorted(rng.permutation(n_docs)[: rng.integers(0, most + 1)].tolist()) for _ in range(n_queries)]
    return Block(queries_QH, docs_DH, np.sort(rng.integers(0, 10, n_docs)).astype(np.int8), related, thresholds)


@given(st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_counts_of_any_blocks_equal_one_comparison_at_a_time(data: st.DataObject) -> None:
    n_docs, seed = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 9999))
    block = make_block(data.draw(st.integers(1, 6)), n_docs, data.draw(st.sampled_from([0, 1, 3])), seed, near=True)
    cuts = tuple(sorted(data.draw(st.sets(st.integers(0, n_docs), max_size=5))))
    order = data.draw(st.permutations(range(len(cuts) + 1)))
    depth = data.draw(st.integers(0, 12))
    assert_equal(block.count(depth, cuts, order), brute(block, depth))


@pytest.mark.parametrize("span", [0, 1, 3])
@pytest.mark.parametrize(
    ("n_queries", "n_docs", "cuts", "depth"),
    [
        pytest.param(1, 1, (), 1, id="one query, one document"),
        pytest.param(1, 3, (), 10, id="a list longer than the block"),
        pytest.param(3, 7, (), 0, id="no list"),
        pytest.param(2, TILE, (), 3, id="one full tile"),
        pytest.param(2, TILE + 1, (), 3, id="a tile and one document"),
        pytest.param(2, 2 * TILE + 88, (1, 100, 356, 357), 7, id="blocks that are no multiple of the tile"),
        pytest.param(TILE + 44, 30, (17,), 3, id="more queries than a tile"),
        pytest.param(TILE + 1, TILE + 1, (200,), 2, id="both beyond a tile"),
    ],
)
def test_awkward_shapes(n_queries: int, n_docs: int, cuts: tuple[int, ...], depth: int, span: int) -> None:
    block = make_block(n_queries, n_docs, span, seed=n_docs)
    assert_equal(block.count(depth, cuts), brute(block, depth))
    assert_equal(block.count(depth, cuts, list(range(len(cuts), -1, -1))), brute(block, depth))


def test_queries_without_thresholds_or_related_documents_have_only_a_top_list() -> None:
    block = make_block(5, 20, 2, seed=1, most=0)
    found = block.count(4)
    assert found.above_GB.shape == (0, 10)
    assert_equal(found, brute(block, 4))


def test_no_query_at_all_counts_nothing() -> None:
    block = Block(np.zeros((0, 3), np.float32), np.ones((4, 3), np.float32), np.zeros(4, np.int8), [], [])
    assert_equal(block.count(2), Counts.empty(block.side, 2))


def test_equal_scores_keep_the_lowest_numbers_in_whatever_order_blocks_come() -> None:
    block = Block(np.ones((1, 2), np.float32), np.ones((50, 2), np.float32), np.zeros(50, np.int8), [[3]], [[2.0]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        found = block.count(4, (20, 30), order)
        # a related document is in the list, and not in the counts
        assert found.top_doc_QK.tolist() == [[0, 1, 2, 3]]
        assert found.above_GB.sum() == found.ties_GB.sum() == found.near_G.sum() == 49


def test_near_counts_what_another_machine_could_rank_otherwise() -> None:
    scores = np.array([1, 1 + 2.0**-22, 1 - 2.0**-22, 1 + 2.0**-18, 1 - 2.0**-18, 0.5], np.float32)[:, None]
    block = Block(np.ones((1, 1), np.float32), scores, np.zeros(6, np.int8), [[]], [[1.0]])
    found = block.count(0)
    assert (found.above_GB.sum(), found.ties_GB.sum(), found.near_G.sum()) == (3, 1, 3)


def test_documents_of_other_buckets_are_counted_there() -> None:
    scores = np.array([5, 1, 4, 3, 0, 9], np.float32)[:, None]
    block = Block(np.ones((1, 1), np.float32), scores, np.array([0, 0, 3, 3, 3, 9], np.int8), [[5]], [[3.0, 9.0]])
    found = block.count(0)
    assert found.above_GB.tolist() == [[1, 0, 0, 2, 0, 0, 0, 0, 0, 0], [0] * 10]
    assert found.ties_GB.tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0], [0] * 10]


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_of_related_documents_with_one_score_the_lower_place_comes_first(rows: list[list[tuple[int, int]]]) -> None:
    first, score = _ragged([[score for score, _ in row] for row in rows], np.float32)
    lang = _ragged([[lang for _, lang in row] for row in rows], np.int64)[1]
    query = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    place = np.array([2, 0, 1])
    for wanted in ((0,), (1, 2), (0, 1, 2), ()):
        expected = []
        for row in rows:
            order = sorted(range(len(row)), key=lambda i: (-row[i][0], place[row[i][1]], i))
            expected += [sum(row[j][1] in wanted for j in order[: order.index(i)]) for i in range(len(row))]
        some = np.arange(len(score))[::2]
        found = count_related(first, query, score, place[lang], np.isin(lang, wanted), some)
        assert found.tolist() == expected[::2]


@given(st.integers(0, 99), st.integers(1, 600))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_one_bucket_counts_what_ten_do_together(seed: int, n_docs: int) -> None:
    block = make_block(5, n_docs, 2, seed, near=True)
    ten, one = block.count(3), replace(block, n_buckets=1).count(3)
    assert one.above_GB.tolist() == ten.above_GB.sum(axis=1, keepdims=True).tolist()
    assert one.ties_GB.tolist() == ten.ties_GB.sum(axis=1, keepdims=True).tolist()
    for name in ("near_G", "top_score_QK", "top_doc_QK"):
        np.testing.assert_array_equal(getattr(one, name), getattr(ten, name))


# --- real vectors: the same two vectors score the same bits, wherever they lie -------------------------------------


def normalised(n: int, seed: int, dim: int = 384) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def all_scores(queries_QH: np.ndarray, docs_DH: np.ndarray, block: int) -> np.ndarray:
    """Every score as the counting sees it, [Q, D]: a top list as long as the documents holds them all."""
    bucket_D = np.zeros(len(docs_DH), np.int8)
    cuts = tuple(range(block, len(docs_DH), block))
    nobody: list[list] = [[] for _ in queries_QH]
    found = Block(queries_QH, docs_DH, bucket_D, nobody, nobody).count(len(docs_DH), cuts)
    scores_QD = np.empty(found.top_score_QK.shape, np.float32)
    np.put_along_axis(scores_QD, found.top_doc_QK, found.top_score_QK, axis=1)
    return scores_QD


@pytest.fixture(params=[1, 2], ids="{} threads".format)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


QUERIES, DOCS = normalised(300, 1), normalised(600, 2)


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """Scores of QUERIES and DOCS in one block on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    scores_QD = all_scores(QUERIES, DOCS, 600)
    torch.set_num_threads(before)
    return scores_QD


def test_the_reference_is_right(reference: np.ndarray) -> None:
    np.testing.assert_allclose(reference, QUERIES.astype(np.float64) @ DOCS.astype(np.float64).T, atol=1e-6)


@pytest.mark.parametrize("block", [600, 512, 256, 131, 33])
def test_blocks_of_any_size_score_the_same_bits(reference: np.ndarray, block: int, threads: int) -> None:
    np.testing.assert_array_equal(all_scores(QUERIES, DOCS, block), reference)


def test_any_order_scores_the_same_bits(reference: np.ndarray, threads: int) -> None:
    rng = np.random.default_rng(3)
    queries, docs = rng.permutation(300), rng.permutation(600)
    np.testing.assert_array_equal(all_scores(QUERIES[queries], DOCS[docs], 217), reference[queries][:, docs])


def test_a_part_scores_the_same_bits_as_the_whole(reference: np.ndarray, threads: int) -> None:
    np.testing.assert_array_equal(all_scores(QUERIES[280:281], DOCS[599:], 1), reference[280:281, 599:])


def test_pairs_score_the_same_bits_as_the_counting(reference: np.ndarray, threads: int) -> None:
    rng = np.random.default_rng(4)
    pair_query = np.sort(rng.integers(0, 300, 5000))
    pair_doc = rng.integers(0, 600, 5000)
    found = score_pairs(padded(QUERIES), torch.from_numpy(DOCS), pair_query, pair_doc)
    np.testing.assert_array_equal(found, reference[pair_query, pair_doc])
    # few pairs, another order of the queries and documents: other places in the tiles
    queries, docs = rng.permutation(300), rng.permutation(600)
    few = np.sort(rng.choice(5000, 40, replace=False))
    moved_query, moved_doc = np.argsort(queries)[pair_query[few]], np.argsort(docs)[pair_doc[few]]
    order = np.argsort(moved_query, kind="stable")
    found = score_pairs(padded(QUERIES[queries]), torch.from_numpy(DOCS[docs]), moved_query[order], moved_doc[order])
    np.testing.assert_array_equal(found, reference[pair_query[few], pair_doc[few]][order])


@pytest.mark.parametrize("dim", [1, 7, 64, 100, 768, 1024])
def test_vectors_of_any_length_score_the_same_bits(dim: int, threads: int) -> None:
    queries_QH, docs_DH = normalised(70, 5, dim), normalised(290, 6, dim)
    whole = all_scores(queries_QH, docs_DH, 290)
    np.testing.assert_array_equal(all_scores(queries_QH, docs_DH, 41), whole)
    pair_query, pair_doc = np.repeat(np.arange(70), 9), np.random.default_rng(7).integers(0, 290, 630)
    found = score_pairs(padded(queries_QH), torch.from_numpy(docs_DH), pair_query, pair_doc)
    np.testing.assert_array_equal(found, whole[pair_query, pair_doc])


def test_a_gold_ties_with_its_own_score_and_nothing_else_does() -> None:
    pair_query, pair_doc = np.arange(300), np.random.default_rng(8).integers(0, 600, 300)
    golds = score_pairs(padded(QUERIES), torch.from_numpy(DOCS), pair_query, pair_doc)
    nobody: list[list] = [[] for _ in QUERIES]
    block = Block(QUERIES, DOCS, np.zeros(600, np.int8), nobody, [[float(gold)] for gold in golds])
    assert block.count(0, (100, 300)).ties_GB.sum(axis=1).tolist() == [1] * 300
    itself = Block(QUERIES, DOCS, np.zeros(600, np.int8), [[int(doc)] for doc in pair_doc], block.thresholds)
    assert itself.count(0, (100, 300)).ties_GB.sum() == 0


def test_padding_adds_zeros_up_to_the_tile() -> None:
    vectors = normalised(TILE + 1, 9, 3)
    found = padded(vectors)
    assert found.shape == (2 * TILE, 3) and found.dtype == torch.float32
    np.testing.assert_array_equal(found[: TILE + 1], vectors)
    assert not found[TILE + 1 :].any()
    assert padded(vectors[:0]).shape == (0, 3)
