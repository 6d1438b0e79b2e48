"""The sentences that an alignment run ends with, from figures written by hand."""

import pytest
from alignment_case import TRAINED, alignment

from clir_core.align.verdict import verdict
from clir_core.measure.compare import Difference
from clir_core.measure.evidence import Average
from clir_core.measure.gate import Decision
from clir_core.measure.gate_spec import GateSpec


def row(scenario: str, query: str, lang: str, metric: str, before: float, after: float, p: float = 0.001) -> Difference:
    gain = after - before
    return Difference(
        scenario=scenario, query_lang=query, lang=lang, metric=metric, before=before, after=after, difference=gain,
        low=gain - 0.01, high=gain + 0.01, p=p, p_holm=p, n=100, unit="rate",
    )  # fmt: skip


def mono(lang: str, before: float, after: float) -> Difference:
    return row("mono", lang, lang, "acc@1", before, after)


def multi(lang: str, own: tuple[float, float], english: tuple[float, float], p: float = 0.001) -> list[Difference]:
    return [
        row("multi", lang, lang, "complete@10", *own, p),
        row("multi", "en", lang, "complete@10", *english, p),
        # what compares both query sides is no figure of either
        row("multi", None, lang, "complete@10", 0.0, 1.0),  # type: ignore[arg-type]
    ]


GATE = GateSpec()


def said(
    rows: list[Difference], trained: tuple[str, ...] = ("de", "zh"), gate: GateSpec = GATE, p: float = 0.001
) -> tuple[str, ...]:
    """The gate is on the trained languages; p is that of the mean."""
    gated = [row for row in rows if row.scenario == "multi" and row.query_lang and row.lang in trained]
    mean = sum(row.difference for row in gated) / len(gated)
    gain = Average(
        scenario="multi", metric=gate.metric, languages=trained, difference=mean, low=mean - 0.01, high=mean + 0.01,
        p=p, n=100, clusters=100,
    )  # fmt: skip
    decision = Decision(status="candidate", reason="Because.", primary=tuple(gated), mono=(), gain=gain)
    return verdict(rows, gate, dict.fromkeys(trained, 10), decision)


def test_the_first_sentence_has_gain_and_cost_in_figures() -> None:
    rows = [*multi("de", (0.4, 0.8), (0.6, 1.0)), *multi("zh", (0.0, 0.7), (0.2, 0.9))]
    rows += [mono("en", 0.95, 0.94), mono("de", 0.9, 0.91), mono("zh", 0.9, 0.87)]
    assert said(rows)[0] == (
        "In pools of English and another language, complete@10 improves from 0.300 to 0.850 (mean of 2 languages, both "
        "query sides); monolingual acc@1 falls by 0.010 on average, most in Chinese (0.900 to 0.870), in English 0.950 "
        "to 0.940."
    )


def test_languages_that_were_not_trained_are_told_apart() -> None:
    rows = [*multi("de", (0.4, 0.8), (0.6, 1.0)), *multi("ru", (0.2, 0.4), (0.2, 0.6)), mono("ru", 0.9, 0.9)]
    first, german, russian, decision = said(rows, trained=("de",))
    assert "from 0.500 to 0.900 (German, mean of both query sides), and from 0.200 to 0.500 in 1 not trained" in first
    assert german.startswith("German: ") and russian.startswith("Russian (not trained): ")
    assert decision == "Candidate: Because."


@pytest.mark.parametrize(("p", "said_so"), [(0.2, True), (0.001, False)])
def test_the_first_sentence_says_when_chance_may_have_done_it(p: float, said_so: bool) -> None:
    rows = [*multi("de", (0.4, 0.5), (0.6, 0.7)), *multi("zh", (0.4, 0.5), (0.6, 0.7), 0.2), mono("en", 0.9, 0.9)]
    assert ("both query sides, not beyond chance on average)" in said(rows, p=p)[0]) is said_so


def test_a_language_that_falls_beyond_chance_does_not_make_the_gain_one() -> None:
    rows = [*multi("de", (0.4, 0.3), (0.6, 0.5), 0.001), *multi("zh", (0.4, 0.8), (0.6, 0.7), 0.2)]
    assert (
        "improves from 0.500 to 0.575 (mean of 2 languages, both query sides, not beyond chance on average)"
        in (said([*rows, mono("en", 0.9, 0.9)], p=0.2)[0])
    )


def test_the_mean_is_of_the_languages_that_the_gate_asks_for() -> None:
    rows = [*multi("de", (0.4, 0.8), (0.6, 1.0)), *multi("zh", (0.0, 0.7), (0.2, 0.9)), mono("en", 0.9, 0.9)]
    german = tuple(row for row in rows if (row.scenario, row.lang) == ("multi", "de") and row.query_lang)
    gain = Average(
        scenario="multi", metric="complete@10", languages=("de",), difference=0.4, low=0.3, high=0.5, p=0.001, n=100,
        clusters=100,
    )  # fmt: skip
    decision = Decision(status="candidate", reason="Because.", primary=german, mono=(), gain=gain)
    first, *_ = verdict(rows, GateSpec(languages=("de",)), {"de": 10, "zh": 10}, decision)
    assert "improves from 0.500 to 0.900 (German, mean of both query sides); monolingual" in first


# of English, which is at 0.75 before, and German, which is at 0.5
@pytest.mark.parametrize(
    ("after", "cost"),
    [
        ((0.75, 0.625), "rises by 0.062 on average, least in English (0.750 to 0.750)"),
        ((0.625, 0.75), "rises by 0.062 on average, but falls in English (0.750 to 0.625)"),
        ((0.625, 0.25), "falls by 0.188 on average, most in German (0.500 to 0.250), in English 0.750 to 0.625"),
        ((0.875, 0.375), "stays on average, but falls in German (0.500 to 0.375), in English 0.750 to 0.875"),
        ((0.75, 0.5), "stays as it was in every language"),
    ],
)
def test_the_cost_is_named_where_it_falls(after: tuple[float, float], cost: str) -> None:
    rows = [*multi("de", (0.4, 0.8), (0.6, 1.0)), mono("en", 0.75, after[0]), mono("de", 0.5, after[1])]
    assert said(rows)[0].partition("; monolingual acc@1 ")[2] == f"{cost}."


@pytest.mark.parametrize(
    ("metric", "after", "verb"),
    [
        ("complete@10", 0.5, "improves from"),
        ("complete@10", 0.3, "gets worse from"),
        ("complete@10", 0.4, "stays at 0.400"),
        ("max_at_r", 0.3, "improves from"),
        ("max_at_r", 0.5, "gets worse from"),
    ],
)
def test_better_is_what_is_better_for_the_metric(metric: str, after: float, verb: str) -> None:
    rows = [row("multi", "de", "de", metric, 0.4, after), mono("en", 0.9, 0.9)]
    assert f"{metric} {verb}" in said(rows, gate=GateSpec(metric=metric))[0]


def test_every_language_has_a_sentence_with_chance_and_interval() -> None:
    rows = [*multi("de", (0.4, 0.8), (0.6, 0.61), p=0.2), mono("de", 0.9, 0.91), mono("en", 0.95, 0.94)]
    assert said(rows)[1:3] == (
        "English: monolingual acc@1 0.950 to 0.940, −0.010 (−0.020 to 0.000).",
        "German: complete@10 of German queries 0.400 to 0.800 (not beyond chance); complete@10 of English queries "
        "0.600 to 0.610 (not beyond chance); monolingual acc@1 0.900 to 0.910, +0.010 (0.000 to +0.020).",
    )


def test_a_whole_run_ends_with_the_gates_decision() -> None:
    result = alignment()
    found = verdict(result.differences, result.spec.gate, result.trained.languages, result.decision)
    assert found[-1] == f"Rejected: {result.decision.reason}"
    assert "(mean of 5 languages, both query sides)" in found[0] and "in 3 not trained" in found[0]
    assert len(found) == 2 + 9
    assert [line.partition(":")[0].partition(" ")[0] for line in found[1 : 2 + len(TRAINED)]] == [
        *("English", "Arabic", "German", "Hindi", "Thai", "Chinese"),
    ]
