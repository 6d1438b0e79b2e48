"""The canary is the same for the same model, and another one for any other, whatever the last bits do."""

import numpy as np
import pytest

from clir_core.model.canary import TEXTS, Canary, apart, changed_versions, distance, is_same

VERSIONS = {"torch": "2.13.0", "transformers": "5.23.0"}
VECTORS = np.random.default_rng(0).standard_normal((len(TEXTS), 64)).astype(np.float32)


def canary(vectors_NH: np.ndarray, dtype: str = "float32") -> Canary:
    return Canary.of(vectors_NH, dtype, VERSIONS)


def test_vectors_are_kept_to_the_last_bit() -> None:
    kept = Canary.model_validate_json(canary(VECTORS).model_dump_json())
    assert np.array_equal(kept.array(), VECTORS) and distance(kept, canary(VECTORS)) == 0


def test_last_bits_are_no_difference_and_all_else_is() -> None:
    noise = np.random.default_rng(1).standard_normal(VECTORS.shape).astype(np.float32)
    assert is_same(canary(VECTORS), canary(VECTORS + 1e-6 * noise))
    assert not is_same(canary(VECTORS), canary(VECTORS + 1e-2 * noise))
    assert is_same(canary(VECTORS), canary(VECTORS + 1e-2 * noise, "bfloat16"))
    one = VECTORS.copy()
    one[3] = -one[3]
    assert distance(canary(VECTORS), canary(one)) == pytest.approx(2)


def test_a_length_is_a_part_of_a_vector() -> None:
    """By hand: a vector twice as long is at 1 - 2 / 4."""
    assert distance(canary(VECTORS), canary(2 * VECTORS)) == pytest.approx(0.5)
    assert distance(canary(VECTORS), canary(VECTORS[:, :32])) == 2
    assert distance(canary(0 * VECTORS), canary(0 * VECTORS)) == 0 < distance(canary(0 * VECTORS), canary(VECTORS))


def test_what_changed_beside_is_named() -> None:
    now = canary(VECTORS).model_copy(update={"versions": {"torch": "2.14.0", "transformers": "5.23.0"}})
    assert changed_versions(canary(VECTORS), now) == "torch 2.13.0 then and 2.14.0 now"
    assert changed_versions(now, now) == "libraries are those of then"


def test_arrays_are_one_minus_the_cosine_apart() -> None:
    random = np.random.default_rng(0)
    ones, others = random.normal(size=(2, 5, 8)).astype("f4")
    ones /= np.linalg.norm(ones, axis=1, keepdims=True)
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    assert apart(ones, others) == pytest.approx(1 - (ones * others).sum(axis=1).min(), abs=1e-6)
