"""What a neutral order shows, against all orders of small pools and against random ones."""

from itertools import combinations
from math import comb

import numpy as np
import polars as pl
import pytest

from clir_core.measure.neutral import beside_neutral


def golds(*rows: tuple[int, int, int, int]) -> pl.DataFrame:
    """What outranks each gold, how much of it is English, and the same of the pool's unrelated documents."""
    return beside_neutral(
        pl.DataFrame(rows, ["outranking", "outranking_pivot", "unrelated", "unrelated_pivot"], orient="row")
    )


def by_enumeration(errors: int, english: int, unrelated: int, unrelated_en: int) -> tuple[float, float]:
    """lean and neutral_pivot, by every choice of as many documents of which the first are English."""
    drawn = [sum(one < unrelated_en for one in chosen) for chosen in combinations(range(unrelated), errors)]
    fewer, more = (np.mean([of(one) for one in drawn]) for of in (lambda one: one < english, lambda one: one > english))
    return float(fewer - more), float(np.mean([one > 0 for one in drawn]))


def possible(unrelated: int) -> list[tuple[int, int, int, int]]:
    return [
        (errors, english, unrelated, unrelated_en)
        for unrelated_en in range(unrelated + 1)
        for errors in range(unrelated + 1)
        for english in range(max(0, errors - unrelated + unrelated_en), min(errors, unrelated_en) + 1)
    ]


@pytest.mark.parametrize("unrelated", [1, 2, 5, 8])
def test_lean_and_any_english_are_those_of_all_orders(unrelated: int) -> None:
    rows = possible(unrelated)
    found = golds(*rows).select("lean", "neutral_pivot").to_numpy()
    np.testing.assert_allclose(found, [by_enumeration(*row) for row in rows], atol=1e-12)


def test_by_hand() -> None:
    """One of 10 documents outranks, 4 of the 10 are English: an English one is one more than 6 of 10 orders have."""
    assert golds((1, 1, 10, 4))["lean"].item() == pytest.approx(0.6)
    assert golds((1, 0, 10, 4))["lean"].item() == pytest.approx(-0.4)
    assert golds((2, 0, 10, 4))["neutral_pivot"].item() == pytest.approx(1 - comb(6, 2) / comb(10, 2))


def test_where_nothing_or_everything_outranks_nobody_wins() -> None:
    found = golds((0, 0, 50, 20), (50, 20, 50, 20), (0, 0, 0, 0), (5, 5, 5, 5), (5, 0, 5, 0))
    assert found["lean"].to_list() == [0, 0, 0, 0, 0]
    assert found["neutral_pivot"].to_list() == [0, 1, 0, 1, 0]


def test_english_above_all_is_the_most_that_there_can_be_in_any_pool() -> None:
    """400 English documents and 4 others: English's share of what outranks can rise by 1 % only, the lean by all."""
    found = golds((300, 300, 404, 400), (4, 0, 404, 400), (200, 200, 400, 200))
    assert found["lean"].to_list() == pytest.approx([0.995, -1, 1], abs=0.01)


def test_english_and_the_rest_are_treated_alike() -> None:
    rows = possible(7)
    turned = [(errors, errors - english, unrelated, unrelated - of_en) for errors, english, unrelated, of_en in rows]
    np.testing.assert_allclose(golds(*rows)["lean"], -golds(*turned)["lean"].to_numpy(), atol=1e-12)


@pytest.mark.parametrize(("english", "other"), [(60, 60), (48, 432), (396, 4)])
def test_under_random_orders_the_mean_lean_is_0_whatever_the_pool(english: int, other: int) -> None:
    """However many errors a model makes: few mostly, now and then the whole pool."""
    random = np.random.default_rng(0)
    errors = np.minimum(np.ceil(np.exp(random.normal(1, 2, 20_000))), english + other).astype(int)
    drawn = random.hypergeometric(english, other, errors)
    found = golds(*zip(errors, drawn, [english + other] * len(errors), [english] * len(errors), strict=True))
    lean = found["lean"].to_numpy()
    assert lean.mean() == pytest.approx(0, abs=4 * lean.std() / len(lean) ** 0.5)
    any_english = found["neutral_pivot"].to_numpy()
    assert any_english.mean() == pytest.approx((drawn > 0).mean(), abs=4 * 0.5 / len(lean) ** 0.5)


def test_rows_keep_their_order_and_their_columns() -> None:
    ranks = pl.DataFrame(
        {
            "query_id": ["b", "a", "c"],
            "outranking": [2, 0, 2],
            "outranking_pivot": [1, 0, 1],
            "unrelated": [6, 6, 6],
            "unrelated_pivot": [3, 3, 3],
        }
    )
    found = beside_neutral(ranks)
    assert found.drop("lean", "neutral_pivot").equals(ranks)
    assert found["lean"].to_list() == [0, 0, 0]


def test_large_pools_are_no_trouble() -> None:
    """A million documents: no overflow, and a probability that is one."""
    found = golds((1000, 900, 1_000_000, 500_000), (3, 1, 2_000_000, 2), (999_990, 10, 1_000_000, 20))
    assert found["lean"].is_finite().all() and found["neutral_pivot"].is_between(0, 1).all()
    assert found["lean"][0] == pytest.approx(1) and found["neutral_pivot"][1] == pytest.approx(3e-6, rel=0.01)
