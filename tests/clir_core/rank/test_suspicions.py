"""Vectors that cannot be a retriever's are named; those of a usual one are not."""

import numpy as np

from clir_core.rank.suspicions import oddities

USUAL = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)


def test_usual_vectors_are_nothing_to_speak_of() -> None:
    assert oddities(USUAL, "documents") == []
    assert oddities(USUAL[:1], "documents") == oddities(USUAL[:0], "documents") == []


def test_zeros_and_equal_vectors_are_counted() -> None:
    vectors = USUAL.copy()
    vectors[:3] = 0
    vectors[10:15] = vectors[10]
    assert oddities(vectors, "documents") == [
        "3 of 50 documents have a vector of zeros: they are at no distance from anything",
        "4 of 50 documents have the very vector of another text",
    ]
    assert len(oddities(0 * USUAL, "queries")) == 1


def test_vectors_that_hardly_differ_are_named_with_their_mean_cosine() -> None:
    alike = 20 * np.ones_like(USUAL) + USUAL
    unit = alike / np.linalg.norm(alike, axis=1, keepdims=True)
    mean = (unit @ unit.T)[~np.eye(50, dtype=bool)].mean()
    assert mean > 0.99
    assert oddities(alike, "queries") == [
        f"two queries have a cosine of {mean:.4f} on average: they are hardly told apart"
    ]
