"""The tie order favours no language, and depends on nothing but a query's group and the languages' own names."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from clir_core.rank.tie_order import tie_order

LANGUAGES = ("en", "de", "fr", "zh-Hant")


@pytest.mark.parametrize("n", [2, 3, 4])
def test_every_order_of_the_languages_is_as_frequent(n: int) -> None:
    n_groups = 12_000
    orders = Counter(map(tuple, tie_order((f"q{i}" for i in range(n_groups)), LANGUAGES[:n]).tolist()))
    assert set(orders) == set(permutations(range(n)))
    expected = n_groups / len(orders)
    chi2 = sum((count - expected) ** 2 / expected for count in orders.values())
    # degrees of freedom, and four standard deviations beyond
    assert chi2 < len(orders) - 1 + 4 * np.sqrt(2 * (len(orders) - 1))


def test_two_languages_keep_their_order_whatever_else_is_there() -> None:
    groups = [f"q{i}" for i in range(200)]
    whole = tie_order(groups, LANGUAGES)
    for languages in permutations(LANGUAGES, 2):
        one, other = (whole[:, LANGUAGES.index(lang)] for lang in languages)
        np.testing.assert_array_equal(tie_order(groups, languages)[:, 0] == 0, one < other)
    np.testing.assert_array_equal(tie_order(reversed(groups), LANGUAGES), whole[::-1])


def test_a_language_without_queries_has_no_order() -> None:
    assert tie_order([], LANGUAGES).shape == (0, 4)
