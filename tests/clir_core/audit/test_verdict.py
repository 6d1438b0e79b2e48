"""The verdict's sentences, from figures written by hand: what a reader of the report is told."""

import pytest

from clir_core.audit.result import MetricRow
from clir_core.audit.verdict import verdict


def figure(scenario: str, query_lang: str, lang: str, metric: str, value: float, spread: float = 0.02) -> MetricRow:
    return MetricRow(
        scenario=scenario,
        query_lang=query_lang,
        lang=lang,
        metric=metric,
        value=value,
        low=value - spread,
        high=value + spread,
        n=100,
        unit="rate",
    )


def both(lang: str, query_lang: str, complete: float, worst: float, pull: float | None) -> list[MetricRow]:
    """The figures of `multi` for one language and direction; the pull on the version in the other language."""
    rows = [
        figure("multi", query_lang, lang, "complete@10", complete),
        figure("multi", query_lang, lang, "max_at_r", worst),
    ]
    name = "pull(x)" if query_lang == "en" else "pull(en)"
    return rows if pull is None else [*rows, figure("multi", query_lang, lang, name, pull)]


def distractor(lang: str, rate: float, pull: float | None, spread: float = 0.02) -> list[MetricRow]:
    rows = [figure("distractor", lang, lang, "inclination_rate", rate)]
    return rows if pull is None else [*rows, figure("distractor", lang, lang, "pull(x)", pull, spread)]


def sentences(*rows: MetricRow, languages: tuple[str, ...] = ("de",)) -> tuple[str, ...]:
    return verdict(rows, "m", languages, 10)


# the answer


@pytest.mark.parametrize(
    ("pull", "spread", "answer"),
    [
        (0.5, 0.1, "m favours English over German."),
        (0.13, 0.02, "m favours English over German."),
        # within a tenth of even, or not clearly beyond
        (0.05, 0.01, "m favours neither English nor the query's language."),
        (0.5, 0.45, "m favours neither English nor the query's language."),
        (-0.5, 0.1, "m favours neither English nor the query's language."),
    ],
)
def test_english_is_favoured_where_its_documents_clearly_stand_before_the_gold(
    pull: float, spread: float, answer: str
) -> None:
    assert sentences(*both("de", "de", 1, 2, 0.0), *distractor("de", 0.4, pull, spread))[0] == answer


@pytest.mark.parametrize(
    ("pull", "answer"),
    [
        (-0.5, "m favours the query's own language over English in German."),
        (-0.11, "m favours neither English nor the query's language."),
        (0.5, "m favours neither English nor the query's language."),
        (None, "m favours neither English nor the query's language."),
    ],
)
def test_the_own_language_is_favoured_where_it_clearly_stands_before_the_english_gold(
    pull: float | None, answer: str
) -> None:
    assert sentences(*both("de", "de", 0.4, 30, pull))[0] == answer


def test_a_model_can_favour_english_here_and_the_own_language_there() -> None:
    rows = [
        *both("de", "de", 1, 2, 0.0),
        *distractor("de", 0.4, 0.4),
        *both("hi", "hi", 0.4, 30, -0.4),
        *distractor("hi", 0.4, 0.4),
        *both("zh", "zh", 0.4, 30, -0.4),
        *distractor("zh", 0.0, None),
        *both("ar", "ar", 0.4, 30, -0.4),
        *distractor("ar", 0.0, 0.0),
    ]
    answer = sentences(*rows, languages=("de", "hi", "zh", "ar"))[0]
    assert answer == (
        "m favours English over German and Hindi and favours the query's own language over English in "
        "Hindi, Chinese and Arabic."
    )


def test_where_nothing_outranks_a_gold_nobody_is_favoured() -> None:
    """A pull is a mean over the queries where something outranks: a perfect model has none."""
    neither = "m favours neither English nor the query's language."
    assert sentences(*both("de", "de", 1, 2, None), *distractor("de", 0, None))[0] == neither
    assert sentences(*distractor("de", 0, None))[0] == neither


def test_an_audit_without_the_scenarios_says_that_they_were_not_asked() -> None:
    not_asked = ("m was not asked about inclination.",)
    assert sentences() == sentences(languages=()) == not_asked
    assert sentences(figure("mono", "de", "de", "max_at_r", 3), figure("nway", "de", "de", "max_at_r", 3)) == not_asked
    # figures of a language that is not asked for, or of another cut-off
    assert sentences(*distractor("hi", 0.4, 0.9)) == not_asked


# every language


@pytest.mark.parametrize(
    ("complete", "word"),
    [
        (0.0, "is buried by"),
        (0.49, "is buried by"),
        (0.5, "often falls behind"),
        (0.79, "often falls behind"),
        (0.8, "can fall behind"),
        (0.94, "can fall behind"),
    ],
)
def test_how_far_behind_the_other_version_falls(complete: float, word: str) -> None:
    found = f"both versions are among the first 10 for {complete:.0%} of the queries".replace("%", " %")
    behind = f"{found}, the later one at rank 1,234.5 on average."
    assert sentences(*both("de", "de", complete, 1234.5, -0.5))[1:] == (
        f"German queries: the English version {word} German documents; {behind}",
    )
    assert sentences(*both("de", "en", complete, 1234.5, 0.5))[1:] == (
        f"English queries beside German: the German version {word} English documents; {behind}",
    )


@pytest.mark.parametrize(
    ("complete", "pull"), [(0.95, -0.5), (1.0, -0.5), (0.3, None), (0.3, -0.11), (0.3, 0.0), (0.3, 0.5)]
)
def test_nobody_is_blamed_where_both_are_found_or_both_languages_outrank(complete: float, pull: float | None) -> None:
    """A low rank by itself may be a weak model's, whose errors are of every language."""
    shown = f"{complete:.0%}".replace("%", " %")
    assert sentences(*both("de", "de", complete, 3.0, pull))[1:] == (
        f"German queries: both versions are among the first 10 for {shown} of the queries, the later one at rank 3.0 "
        "on average.",
    )


@pytest.mark.parametrize(
    ("rate", "shown", "low", "high"),
    [
        (0.35, "35 %", "33 %", "37 %"),
        (0.026, "3 %", "0.6 %", "5 %"),
        (0.976, "98 %", "96 %", "99.6 %"),
    ],
)
def test_the_rate_of_strangers_before_the_gold_comes_with_its_interval(
    rate: float, shown: str, low: str, high: str
) -> None:
    assert sentences(*distractor("hi", rate, 0.4), languages=("hi",))[1:] == (
        f"Hindi queries: an unrelated English document outranks the relevant Hindi one for {shown} of the queries "
        f"({low} to {high}).",
    )


def test_nought_and_all_are_said_plainly() -> None:
    rows = [figure("distractor", "de", "de", "inclination_rate", 0.0, 0.0)]
    assert sentences(*rows)[1].endswith("for 0 % of the queries (0 % to 0 %).")
    rows = [figure("distractor", "de", "de", "inclination_rate", 1.0, 0.0)]
    assert sentences(*rows)[1].endswith("for 100 % of the queries (100 % to 100 %).")


def test_languages_come_in_the_order_asked_for_own_queries_first() -> None:
    rows = [
        row
        for lang in ("de", "hi")
        for row in (*distractor(lang, 0.4, 0.4), *both(lang, "en", 0.9, 3, 0.4), *both(lang, lang, 0.9, 3, -0.4))
    ]
    starts = [sentence.partition(":")[0] for sentence in sentences(*rows, languages=("hi", "de"))[1:]]
    assert starts == [
        *("Hindi queries", "English queries beside Hindi", "Hindi queries"),
        *("German queries", "English queries beside German", "German queries"),
    ]


def test_a_missing_figure_costs_its_own_sentence_only() -> None:
    rows = [*both("de", "de", 0.9, 3, -0.4), *both("de", "en", 0.9, 3, 0.4), *distractor("de", 0.4, 0.4)]
    whole = sentences(*rows)
    assert len(whole) == 4
    for left_out, gone in (("complete@10", (1, 2)), ("max_at_r", (1, 2)), ("inclination_rate", (3,))):
        rest = sentences(*(row for row in rows if row.metric != left_out))
        assert rest == tuple(sentence for i, sentence in enumerate(whole) if i not in gone)
