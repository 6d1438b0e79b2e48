"""Hubs against sums by hand and by sorting; what is read together changes no bit."""

import numpy as np
import pytest

from clir_core.correct import hub
from clir_core.correct.correction import Correction
from clir_core.correct.hub import Hub, nearness


def unit(random: np.random.Generator, n: int, dim: int = 24) -> np.ndarray:
    vectors_NH = random.standard_normal((n, dim))
    return (vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)).astype(np.float32)


def test_nearness_by_hand() -> None:
    bank = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    documents = np.array([[1, 0], [0, 2]], np.float32)
    np.testing.assert_allclose(nearness(bank, documents, 2), [0.8, 1.8], atol=1e-7)
    # of a bank that holds fewer than k, all
    np.testing.assert_allclose(nearness(bank, documents, 9), [1.6 / 3, 3.6 / 3], atol=1e-7)


@pytest.mark.parametrize(("n_bank", "n_docs", "k"), [(3, 700, 5), (300, 50, 5), (600, 300, 17), (256, 256, 256)])
def test_nearness_is_the_mean_of_the_largest(n_bank: int, n_docs: int, k: int) -> None:
    random = np.random.default_rng(n_bank)
    bank, documents = unit(random, n_bank), unit(random, n_docs)
    scores_DB = documents.astype(np.float64) @ bank.T.astype(np.float64)
    by_sorting = np.sort(scores_DB, axis=1)[:, -k:].mean(axis=1)
    np.testing.assert_allclose(nearness(bank, documents, k), by_sorting, atol=1e-6)


def test_what_is_read_together_changes_no_bit() -> None:
    random = np.random.default_rng(1)
    found = Hub({"de": unit(random, 300), "en": unit(random, 40)}, 5, 1.0)
    documents = unit(random, 600)
    whole = found.of_documents(documents)
    apart = [found.of_documents(documents[at : at + 1]) for at in range(0, 600, 37)]
    assert np.concatenate(apart).tobytes() == whole[::37].tobytes()


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_one_product_more_is_half_of_csls(weight: float) -> None:
    random = np.random.default_rng(2)
    banks = {"de": unit(random, 90), "en": unit(random, 90)}
    documents, queries = unit(random, 80), unit(random, 30)
    found = Hub(banks, 5, weight)
    for lang, bank in banks.items():
        products_QD = found.of_queries(lang, queries) @ found.of_documents(documents).T
        csls_QD = 2 * queries @ documents.T - weight * nearness(bank, documents, 5)
        np.testing.assert_allclose(2 * products_QD, csls_QD, atol=1e-5)


def test_one_bank_for_all_needs_no_language() -> None:
    random = np.random.default_rng(3)
    found = Hub({"": unit(random, 90)}, 5, 1.0)
    queries = unit(random, 4)
    assert found.of_queries("zh", queries).tobytes() == found.of_queries("de", queries).tobytes()
    assert found.of_documents(queries).shape == (4, 25)


def test_a_hub_falls_behind() -> None:
    """A document that is near to every query stands first for all; corrected, the one that answers does."""
    around = np.deg2rad([0, 120, 240])
    answers = np.column_stack([np.zeros(3), np.cos(around), np.sin(around)])
    middle = np.array([[1.0, 0, 0]])
    asked = np.cos(np.deg2rad(40)) * middle + np.sin(np.deg2rad(40)) * answers
    documents = np.concatenate([answers, middle])
    plain = asked @ documents.T
    assert (plain.argmax(axis=1) == 3).all()
    correction = Correction({"en": None}, {"en": None}, unit=True, hub=Hub({"": asked.astype(np.float32)}, 2, 1.0))
    corrected = (
        correction.of_queries("en", asked.astype(np.float32))
        @ correction.of_documents("en", documents.astype(np.float32)).T
    )
    assert (corrected.argmax(axis=1) == [0, 1, 2]).all()


def test_the_module_takes_tiles_of_the_rankings_size() -> None:
    from clir_core.rank import forms

    assert hub.TILE == forms.TILE
