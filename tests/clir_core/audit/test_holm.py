"""Holm's correction against a textbook's example, and what it never does."""

import random

import pytest

from clir_core.audit.holm import holm


def test_it_is_that_of_the_textbook() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_it_keeps_the_order_of_p_and_lies_between_p_and_bonferroni_s() -> None:
    p = [random.Random(0).random() ** 4 for _ in range(50)]
    found = holm(p)
    assert sorted(range(50), key=lambda i: p[i]) == sorted(range(50), key=lambda i: (found[i], p[i]))
    assert all(one <= corrected <= min(1, 50 * one) for one, corrected in zip(p, found, strict=True))


def test_of_tests_without_anything_to_find_one_in_20_families_raises_an_alarm_at_most() -> None:
    seeded = random.Random(1)
    alarms = sum(min(holm([seeded.random() for _ in range(40)])) < 0.05 for _ in range(4000))
    assert alarms / 4000 < 0.05 + 3 * (0.05 * 0.95 / 4000) ** 0.5
