"""Weighted terms and several vectors a text rank as a full sort of their scores does, in whatever tiles, to the bit."""

from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch
from brute_force import Case, Text
from hypothesis import given, settings
from hypothesis import strategies as st
from pools_case import cases
from scipy.sparse import csr_array, random_array
from sentence_transformers.util import similarity
from test_pools import check

from clir_core.rank.forms import TILE, Sparse, Tokens, joined
from clir_core.rank.outrank import Counts, Side, count_block, score_pairs


def tokens_of(vector: np.ndarray) -> np.ndarray:
    """Some of the vector's neighbouring pairs, for vectors: how many, the vector itself says."""
    pairs = np.pad(vector, (0, len(vector) % 2)).reshape(-1, 2)
    return pairs[: 1 + int(np.abs(vector).sum()) % len(pairs)]


def several(vectors_NH: np.ndarray) -> Tokens:
    found = [tokens_of(vector) for vector in vectors_NH]
    return Tokens(np.concatenate([np.empty((0, 2), np.float32), *found]), np.cumsum([0, *map(len, found)]))


@dataclass(frozen=True)
class MaxSimCase(Case):
    """A case that is scored by the definition of MaxSim."""

    def score(self, query: Text, doc: Text) -> int:
        asked, held = (tokens_of(np.array(self.vectors[one.id])) for one in (query, doc))
        return sum(max(int(a @ b) for b in held) for a in asked)


@given(cases(), st.sampled_from([1, 3, 8192]), st.integers(0, 99))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_weighted_terms_rank_as_a_full_sort(case: Case, block: int, shuffle: int) -> None:
    check(case, block=block, shuffle=shuffle, form=lambda vectors: Sparse(csr_array(vectors)))


@given(cases(), st.sampled_from([1, 3, 8192]), st.integers(0, 99))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_several_vectors_rank_as_a_full_sort(case: Case, block: int, shuffle: int) -> None:
    maxsim = MaxSimCase(**{field.name: getattr(case, field.name) for field in fields(case)})
    check(maxsim, block=block, shuffle=shuffle, form=several)


def random_terms(n: int, seed: int) -> Sparse:
    weights = random_array((n, 90), density=0.2, rng=np.random.default_rng(seed), format="csr", dtype=np.float32)
    return Sparse(csr_array(weights))


def random_tokens(n: int, seed: int, most: int, fewest: int = 1) -> Tokens:
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(rng.integers(fewest, most + 1, n))])
    tokens_TH = rng.standard_normal((first[-1], 48)).astype(np.float32)
    return Tokens(tokens_TH / np.linalg.norm(tokens_TH, axis=1, keepdims=True), first)


Pair = tuple[Sparse, Sparse] | tuple[Tokens, Tokens]
PAIRS: dict[str, Pair] = {
    "terms": (random_terms(300, 1), random_terms(600, 2)),
    "several vectors": (random_tokens(300, 1, 9), random_tokens(600, 2, 30)),
}


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return PAIRS[request.param]


def all_scores(queries: Sparse | Tokens, docs: Sparse | Tokens, block: int) -> np.ndarray:
    """Every score as the counting sees it, [Q, D]: a top list as long as the documents holds them all."""
    nobody = np.zeros(len(queries) + 1, np.int64)
    side = Side(nobody, np.empty(0, np.int32), nobody, np.empty(0, np.float32), 1)
    counts = Counts.empty(side, len(docs))
    for at in range(0, len(docs), block):
        part = docs.take(np.arange(at, min(at + block, len(docs))))
        bucket_D = np.zeros(len(part), np.int8)
        counts.add(count_block(queries, side, part, at, len(part), bucket_D, len(docs)))
    scores_QD = np.empty(counts.top_score_QK.shape, np.float32)
    np.put_along_axis(scores_QD, counts.top_doc_QK, counts.top_score_QK, axis=1)
    return scores_QD


def test_blocks_and_orders_score_the_same_bits(pair: Pair) -> None:
    queries, docs = pair
    whole = all_scores(queries, docs, 600)
    for block in (217, TILE):
        np.testing.assert_array_equal(all_scores(queries, docs, block), whole)
    rng = np.random.default_rng(3)
    one, other = rng.permutation(300), rng.permutation(600)
    np.testing.assert_array_equal(all_scores(queries.take(one), docs.take(other), 217), whole[one][:, other])


def test_pairs_score_the_same_bits_as_the_counting(pair: Pair) -> None:
    queries, docs = pair
    rng = np.random.default_rng(4)
    pair_query, pair_doc = np.sort(rng.integers(0, 300, 3000)), rng.integers(0, 600, 3000)
    parts = joined([docs.take(np.arange(250)), docs.take(np.arange(250, 600))])
    found = score_pairs(queries, parts, pair_query, pair_doc)
    np.testing.assert_array_equal(found, all_scores(queries, docs, 600)[pair_query, pair_doc])


def test_terms_score_their_dot_product() -> None:
    queries, docs = PAIRS["terms"]
    assert isinstance(queries, Sparse) and isinstance(docs, Sparse)
    exact = queries.weights.toarray().astype(np.float64) @ docs.weights.toarray().astype(np.float64).T
    np.testing.assert_allclose(all_scores(queries, docs, 600), exact, rtol=1e-7)


def test_several_vectors_score_as_sentence_transformers_does() -> None:
    queries, docs = PAIRS["several vectors"]
    assert isinstance(queries, Tokens) and isinstance(docs, Tokens)
    asked, held = (
        [torch.from_numpy(part) for part in np.split(one.tokens_TH, one.first_N[1:-1])] for one in (queries, docs)
    )
    expected = similarity.maxsim(asked, held).numpy()
    np.testing.assert_allclose(all_scores(queries, docs, 600), expected, atol=2e-6)


def test_a_document_without_vectors_comes_last_and_is_still_counted() -> None:
    docs = Tokens(np.array([[1, 0], [-1, 0]], np.float32), np.array([0, 1, 1, 2]))
    queries = Tokens(np.array([[1, 0]], np.float32), np.array([0, 1]))
    scores = all_scores(queries, docs, 2)[0]
    assert np.argsort(-scores).tolist() == [0, 2, 1] and np.isfinite(scores).all()
