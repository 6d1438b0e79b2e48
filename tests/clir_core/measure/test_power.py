"""How many questions decide, against intervals of such questions, made one by one, and the exact bound of no loss."""

import re

import numpy as np
import pytest

from clir_core.audit.result import MetricRow
from clir_core.measure.interval import Means, clustered_means
from clir_core.measure.power import MOST, asked_in, foresight, questions_needed, rounded


def asked(n: int, changed: float, languages: int = 1, group: int = 1, alike: bool = True, seed: int = 0) -> Means:
    """Differences of n questions in some languages: as many better as worse, in all languages alike or not."""
    random = np.random.default_rng(seed)
    half = round(n * changed / 2)
    values = np.r_[np.ones(half), -np.ones(half), np.zeros(n - 2 * half)]
    of_each = [random.permutation(values) for _ in range(languages)]
    values_QM = np.concatenate([of_each[0]] * languages if alike else of_each)[:, None]
    return clustered_means(values_QM, np.tile(np.arange(n) // group, languages), -1.0, 1.0)


@pytest.mark.parametrize(("languages", "group"), [(1, 1), (12, 1), (1, 3), (5, 4)])
@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_where_nothing_changed_the_exact_bound_says_how_many_groups(languages: int, group: int, margin: float) -> None:
    exact = np.log(0.025) / np.log(1 - margin)
    found = questions_needed(asked(120, 0.0, languages, group), 120, margin)
    assert found / group == pytest.approx(exact, abs=1)


@pytest.mark.parametrize(("n", "changed"), [(400, 0.05), (150, 0.04), (3000, 0.6), (200, 0.3)])
@pytest.mark.parametrize(("languages", "alike"), [(1, True), (4, True), (4, False)])
def test_with_so_many_questions_the_interval_ends_at_the_margin(
    n: int, changed: float, languages: int, alike: bool
) -> None:
    found = questions_needed(asked(n, changed, languages, alike=alike), n, 0.01)
    of_seeds = [asked(found, changed, languages, alike=alike, seed=seed).interval()[0][0] for seed in range(5)]
    assert np.mean(of_seeds) == pytest.approx(-0.01, abs=0.0011)


def measured(n: int, clusters: int | None, languages: int) -> list[MetricRow]:
    known = {"scenario": "mono", "metric": "acc@1", "value": 0.9, "low": 0.8, "high": 0.95, "unit": "rate"}
    return [MetricRow(**known, query_lang=f"l{i}", lang=f"l{i}", n=n, clusters=clusters) for i in range(languages)]


def test_the_base_says_what_its_questions_can_decide() -> None:
    assert foresight(measured(432, 144, 6), 0.01) == (
        "432 questions in 144 groups, 6 languages: a mean monolingual loss of 0.010 can be excluded where no more than "
        "6 % of the answers change, each language by itself, and in no way if all change alike. 4 % changed answers "
        "need about 320 questions, or 1,800."
    )
    assert foresight(measured(72, 14, 5), 0.01).startswith(
        "72 questions in 14 groups, 5 languages: a mean monolingual loss of 0.010 cannot be excluded, however few "
        "answers change. 4 % changed answers need about "
    )
    assert foresight(measured(432, None, 2), 0.01).startswith("432 questions, 2 languages: ")
    assert foresight([], 0.01) == ""


def test_where_no_loss_at_all_is_allowed_no_number_of_questions_would_do() -> None:
    told = foresight(measured(432, 144, 6), 0.0)
    assert told.endswith("cannot be excluded, however few answers change. No number of questions would do.")
    assert questions_needed(asked(120, 0.05), 120, 0.0) == MOST


def test_where_languages_that_change_alike_never_do_it_says_so() -> None:
    told = foresight(measured(432, 144, 40), 1.5e-5)
    assert re.search(r"need about [\d,]+ questions, or no number would do if all change alike\.$", told)


@pytest.mark.parametrize("n", [800, 2000])
def test_what_the_base_says_holds_where_so_many_answers_change(n: int) -> None:
    found = re.search(r"no more than ([\d.]+) % .* by itself, or ([\d.]+) % in", foresight(measured(n, n, 3), 0.01))
    assert found
    for alike, percent in zip((False, True), map(float, found.groups()), strict=True):
        for times, is_excluded in ((0.85, True), (1.2, False)):
            low, _ = asked(n, times * percent / 100, 3, alike=alike).interval()
            assert (low[0] >= -0.01) == is_excluded


def test_numbers_are_rounded_up_to_two_digits() -> None:
    assert [rounded(n) for n in (7, 367, 2400, 2401, 18_765)] == ["7", "370", "2,400", "2,500", "19,000"]
    assert (asked_in(1, 1), asked_in(1190, 240), asked_in(12, None)) == (
        "1 question", "1,190 questions in 240 groups", "12 questions",
    )  # fmt: skip
