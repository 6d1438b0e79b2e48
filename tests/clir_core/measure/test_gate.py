"""Every way through the gate, on pairs of audits whose queries are written by hand; bounds by the binomial, exactly."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.errors import SpecError
from clir_core.measure.compare import Comparison, compare
from clir_core.measure.evidence import loss_p
from clir_core.measure.gate import Decision, check, check_asked, check_measured, decide, outcome
from clir_core.measure.gate_spec import GateSpec
from clir_core.measure.interval import clustered_means
from clir_core.measure.metrics import units

N = 432
Key = tuple[str, str, str, str]
# scenario, query language, X, metric: how each query's figure changes
Changes = Mapping[Key, Sequence[float]]


def lost(share: float, n: int = N) -> list[float]:
    """So many queries lose their 1."""
    return [-1.0] * round(share * n) + [0.0] * (n - round(share * n))


def won(share: float, n: int = N) -> list[float]:
    return [-one for one in lost(share, n)]


def swapped(share: float, n: int = N) -> list[float]:
    """So many queries change, as many to the better as to the worse."""
    half = round(share * n / 2)
    return [1.0] * half + [-1.0] * half + [0.0] * (n - 2 * half)


def compared(
    changed: Changes | None = None, n: int = N, langs: tuple[str, ...] = ("de", "zh"), group: int | None = 1
) -> Comparison:
    """All that a promotion needs, but for these: 0.3 of the primary metric won, nothing else changed.

    `group` queries share a cluster, as do the languages; None is an audit of before, which knows no clusters.
    """
    found: dict[Key, Sequence[float]] = {
        ("mono", lang, lang, metric): lost(0, n) for lang in ("en", *langs) for metric in ("acc@1", "ndcg@10")
    }
    found |= {("multi", query, lang, "complete@10"): won(0.3, n) for lang in langs for query in (lang, "en")}
    # nothing that the gate looks at
    found |= {("mono", lang, lang, "mrr"): lost(0.5, n) for lang in langs}
    found |= changed or {}
    known = {(*key[:3], row): {} for key, values in found.items() for row in range(len(values))}
    for (scenario, query, lang, metric), values in found.items():
        for row, change in enumerate(values):
            known[scenario, query, lang, row][metric] = change
    rows = [
        dict(zip(("scenario", "query_lang", "lang"), pool, strict=True))
        | {"query_id": f"q{row:05}"}
        | ({"cluster": row // group, "pool_size": 50} if group else {})
        | changes
        for (*pool, row), changes in known.items()
    ]
    metrics = {metric: unit for metric, unit in units((10,)).items() if any(metric in row for row in rows)}
    after = pl.DataFrame(rows, schema_overrides={"cluster": pl.Int32} if group else None, infer_schema_length=None)
    return compare(after.with_columns(pl.col(list(metrics)) * 0), after, metrics)


def primary(values: Callable[[str, str], Sequence[float]], langs: tuple[str, ...] = ("de", "zh")) -> Changes:
    return {("multi", query, lang, "complete@10"): values(query, lang) for lang in langs for query in (lang, "en")}


def test_a_gain_everywhere_at_no_cost_is_promoted() -> None:
    decision = decide(compared(), GateSpec())
    assert decision.status == "promoted"
    # 0 of 432 lost: at most 0.0085 by the binomial
    assert decision.reason.endswith(
        "A monolingual loss of more than 0.010 is excluded on average over English, German and Chinese and shown in "
        "none of them: acc@1 +0.000 (interval -0.008 to +0.008, 432 questions); ndcg@10 +0.000 (interval -0.008 to "
        "+0.008, 432 questions)."
    )
    assert decision.reason.startswith(
        "Complete@10 in multi improves beyond chance on average over German and Chinese, both query sides: +0.301 ("
    )
    sides = [(one.query_lang, one.lang) for one in decision.primary]
    assert sides == [("de", "de"), ("en", "de"), ("zh", "zh"), ("en", "zh")]
    assert (len(decision.mono), decision.lost, decision.needed) == (6, (), None)
    assert decision.gained == decision.primary
    assert decision.gain and (decision.gain.languages, decision.gain.n, decision.gain.clusters) == (("de", "zh"), N, N)
    for cost in decision.cost:
        assert -cost.low == pytest.approx(1 - 0.025 ** (1 / N), rel=0.02)


@pytest.mark.parametrize("group", [None, 1])
@pytest.mark.parametrize(
    ("n", "status"),
    [
        (6, "candidate"), (8, "candidate"), (12, "candidate"), (72, "candidate"), (366, "candidate"),
        (367, "promoted"), (432, "promoted"),
    ],
)  # fmt: skip
def test_no_loss_in_few_queries_excludes_none(n: int, status: str, group: int | None) -> None:
    """The exact bound of 0 losses in 367 is 0.010, in however many languages they are asked."""
    assert pytest.approx(0.01, abs=2e-6) == 1 - 0.025 ** (1 / 367)
    everywhere = primary(lambda query, lang: won(1, n))
    decision = decide(compared(everywhere, n, group=group), GateSpec())
    assert decision.status == status
    assert decision.needed == (None if status == "promoted" else 367)
    if status == "candidate":
        assert decision.reason.endswith(f"Excluding a loss of 0.010 needs about 370 questions; you have {n}.")


def test_where_nothing_varies_a_group_counts_once() -> None:
    decision = decide(compared(group=3), GateSpec())
    assert (decision.status, decision.needed) == ("candidate", 3 * 367)
    assert (
        "needs about 1,200 questions; you have 432" in decision.reason
        and "432 questions in 144 groups" in decision.reason
    )


@pytest.mark.parametrize("lang", ["en", "de", "th"])
@pytest.mark.parametrize("metric", ["acc@1", "ndcg@10"])
def test_a_loss_that_is_shown_is_rejected_in_any_language(lang: str, metric: str) -> None:
    """English and languages that are not gated included."""
    changed = {("mono", "th", "th", name): lost(0) for name in ("acc@1", "ndcg@10")}
    changed["mono", lang, lang, metric] = lost(0.1)
    decision = decide(compared(changed), GateSpec(languages=("de", "zh")))
    assert decision.status == "rejected"
    name = {"en": "English", "de": "German", "th": "Thai"}[lang]
    assert decision.reason.startswith(
        f"Monolingual retrieval loses more than 0.010, beyond chance: {metric} in {name} 0.000 to -0.100 (-0.100, "
        "interval -0."
    )
    assert ", 432 questions). Complete@10 in multi improves beyond chance on average" in decision.reason
    assert [(row.lang, row.metric) for row in decision.lost] == [(lang, metric)]


def test_losses_are_listed_worst_first() -> None:
    changed = {("mono", "en", "en", "acc@1"): lost(0.1), ("mono", "zh", "zh", "ndcg@10"): lost(0.2)}
    assert "beyond chance: ndcg@10 in Chinese" in decide(compared(changed), GateSpec()).reason


def test_a_loss_that_is_only_measured_is_no_reason_to_reject() -> None:
    """7 of 432 lost is more than 0.010, and as often seen of a checkpoint that loses 0.010."""
    assert binom.sf(6, N, 0.01) > 0.1
    decision = decide(compared({("mono", "de", "de", "acc@1"): lost(7 / N)}), GateSpec())
    assert decision.status == "candidate" and decision.lost == ()


@pytest.mark.parametrize("n", [72, 432, 2000])
@pytest.mark.parametrize("allowed", [0.0, 0.01, 0.03])
def test_a_loss_is_shown_no_sooner_than_the_binomial_would(n: int, allowed: float) -> None:
    """Queries that all stay but for some that lose: how many did by chance, if at most the allowed share does so."""
    for k in range(1, n // 10, 3):
        means = clustered_means(np.array([lost(k / n, n)]).T, np.arange(n), -1, 1)
        (p,) = loss_p(means, 1, allowed)
        assert p >= binom.sf(k - 1, n, max(allowed, 1e-12)) - 1e-9


def test_a_loss_of_just_the_margin_is_none() -> None:
    """0.90 - 0.91 is -0.010000000000000009, in every query."""
    exact = compared({("mono", "de", "de", "acc@1"): [0.90 - 0.91] * 5000}, n=5000)
    assert decide(exact, GateSpec()).status == "promoted"
    assert decide(exact, GateSpec(margin=0.008)).status == "rejected"


def test_the_tests_of_many_languages_are_corrected() -> None:
    """A loss that one language would show by itself is expected of one in many by chance."""
    few, many = ("de", "zh"), tuple(f"x{i}" for i in range(60))
    changed = {("mono", "en", "en", "acc@1"): lost(0.03)}
    assert outcome(compared(changed, langs=few[:1]), GateSpec()) == "regressed"
    assert outcome(compared(changed, n=N, langs=many), GateSpec()) == "improved"


def test_more_changed_answers_need_more_questions() -> None:
    share = 18 / N
    changed = {("mono", lang, lang, "acc@1"): swapped(share) for lang in ("en", "de", "zh")}
    decision = decide(compared(changed), GateSpec())
    assert decision.status == "candidate"
    assert decision.needed and 1300 < decision.needed < 2400
    # the same answers change in all languages: with so many questions the interval ends there
    for n, status in ((round(0.97 * decision.needed), "candidate"), (round(1.03 * decision.needed), "promoted")):
        again = {key: swapped(share, n) for key in changed}
        assert decide(compared(again, n=n), GateSpec()).status == status


def test_a_loss_in_one_language_may_be_made_up_by_another() -> None:
    """On average nothing is lost, and in German nothing is shown."""
    changed = {("mono", "de", "de", "acc@1"): lost(0.005, 1200), ("mono", "zh", "zh", "acc@1"): won(0.005, 1200)}
    assert decide(compared(changed, n=1200), GateSpec()).status == "promoted"


def test_a_gain_that_is_not_shown_makes_a_candidate() -> None:
    for changed in (primary(lambda *_: lost(0)), primary(lambda *_: swapped(0.1)), primary(lambda *_: won(1 / N))):
        decision = decide(compared(changed), GateSpec())
        assert decision.status == "candidate"
        assert decision.reason.startswith(
            "Complete@10 in multi is not shown to improve on average over German and Chinese, both query sides, nor in "
            "any of them: +0.00"
        )
        assert "A monolingual loss of more than 0.010 is excluded" in decision.reason
        assert outcome(compared(changed), GateSpec()) == "unchanged"


def test_a_gain_in_one_language_counts_on_average_or_makes_a_candidate() -> None:
    one = primary(lambda query, lang: won(0.3) if lang == "de" else lost(0))
    assert decide(compared(one), GateSpec()).status == "promoted"
    against = primary(lambda query, lang: won(0.1) if lang == "de" else swapped(0.8))
    found = compared(against)
    decision = decide(found, GateSpec())
    assert (decision.status, outcome(found, GateSpec())) == ("candidate", "improved")
    assert "; it is for German queries 0.000 to 0.100 (+0.100, interval +0." in decision.reason
    assert {row.lang for row in decision.gained} == {"de"}


def test_both_doubts_are_told() -> None:
    reason = decide(compared(primary(lambda *_: lost(0, 72)), n=72), GateSpec()).reason
    assert "is not shown to improve" in reason and "needs about 370 questions; you have 72" in reason


def test_getting_worse_beyond_chance_is_rejected_whatever_else_improves() -> None:
    worse = compared({("multi", "en", "de", "complete@10"): lost(0.1)})
    decision = decide(worse, GateSpec())
    assert (decision.status, outcome(worse, GateSpec())) == ("rejected", "regressed")
    assert decision.reason.startswith(
        "Complete@10 in multi gets worse by more than 0.010, beyond chance, for English queries beside German 0.000 to"
    )


def test_a_rate_may_fall_by_the_margin_and_a_rank_may_not() -> None:
    """-0.005 for all of 432 queries is shown to be below 0, and within the margin."""
    fallen = {("multi", "en", "de", "complete@10"): [-0.005] * N}
    assert decide(compared(fallen), GateSpec()).status == "promoted"
    gate = GateSpec(metric="max_at_r")
    for more, status in ((0.005, "rejected"), (-0.005, "promoted")):
        ranks = {("multi", query, lang, "max_at_r"): [-5.0] * N for lang in ("de", "zh") for query in (lang, "en")}
        ranks["multi", "en", "de", "max_at_r"] = [more * 400] * N
        assert decide(compared(ranks), gate).status == status


def test_of_a_metric_where_lower_is_better_a_fall_is_a_gain() -> None:
    for change, status in ((-5.0, "promoted"), (5.0, "rejected")):
        changed = {("multi", query, lang, "max_at_r"): [change] * N for lang in ("de", "zh") for query in (lang, "en")}
        assert decide(compared(changed), GateSpec(metric="max_at_r")).status == status


def test_only_gate_languages_have_to_improve() -> None:
    changed = {("multi", query, "de", "complete@10"): lost(0.1) for query in ("de", "en")}
    assert decide(compared(changed), GateSpec(languages=("zh",))).status == "promoted"
    assert decide(compared(changed), GateSpec()).status == "rejected"


def test_a_scenario_that_english_is_not_asked_in_has_one_query_side() -> None:
    changed = {("distractor", lang, lang, "inclination_rate"): lost(0.1) for lang in ("de", "zh")}
    gate = GateSpec(scenario="distractor", metric="inclination_rate")
    decision = decide(compared(changed), gate)
    assert (decision.status, len(decision.primary)) == ("promoted", 2)
    assert outcome(compared(changed), gate) == "improved"
    risen = {key: won(0.1) for key in changed}
    assert outcome(compared(risen), gate) == "regressed"


def test_a_gate_on_monolingual_retrieval_names_a_loss_once() -> None:
    gate = GateSpec(scenario="mono", metric="acc@1")
    decision = decide(compared({("mono", "de", "de", "acc@1"): lost(0.1)}), gate)
    assert (decision.status, len(decision.lost)) == ("rejected", 1)
    assert decision.reason.count("acc@1 in German") == 1


def test_many_figures_are_cut_short() -> None:
    langs = ("ar", "de", "el", "es", "hi", "ru", "th", "zh")
    changed = {("mono", lang, lang, "acc@1"): lost(0.2) for lang in langs}
    reason = decide(compared(changed, langs=langs), GateSpec()).reason
    assert "; and 2 more. Complete@10" in reason and "on average over 8 languages, both query sides" in reason


@pytest.mark.parametrize(
    ("gate", "left_out", "message"),
    [
        (GateSpec(languages=("th",)), (), r"no complete@10 in multi for th/th, en/th \(query language/language\)"),
        (GateSpec(), ("multi", "en", "zh", "complete@10"), "in multi for en/zh"),
        (GateSpec(scenario="cross"), (), "no complete@10 in cross for any language"),
        (GateSpec(), ("mono", "en", "en", "acc@1"), "no monolingual acc@1 of en, so"),
        (GateSpec(), ("mono", "zh", "zh", "ndcg@10"), "no monolingual ndcg@10 of zh, so"),
    ],
)
def test_what_the_audits_lack_is_an_error_that_names_it(gate: GateSpec, left_out: tuple, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        decide(compared({left_out: []} if left_out else {}, n=5), gate)


def test_a_gate_that_no_audit_could_answer_is_found_before_the_training() -> None:
    directed = {"max_at_r", "inclination_rate", "rank_distance", "max_at_r_norm", "mrr", "acc@1"}
    directed |= {"complete@10", "ndcg@10", "recall@10", "tlr@10"}
    directed |= {"unrelated_first(en)", "unrelated_first(x)"}
    assert directed < set(units((10,)))
    for name in units((10,)):
        if name in directed:
            check(GateSpec(metric=name))
        else:
            with pytest.raises(SpecError, match="cannot be the primary metric"):
                check(GateSpec(metric=name))
    for scenario in ("share", "nway"):
        with pytest.raises(SpecError, match=f"{scenario} has no single pool"):
            check(GateSpec(scenario=scenario))


def test_the_audit_of_the_base_tells_whether_the_gate_can_be_answered() -> None:
    kept = {"scenario", "query_lang", "lang", "metric", "n", "unit"}
    differences = compared(n=5).differences
    measured = [MetricRow(value=0.5, low=0.4, high=0.6, **one.model_dump(include=kept)) for one in differences]
    check_measured(GateSpec(), measured)
    check_measured(GateSpec(languages=("zh",)), measured)
    with pytest.raises(SpecError, match="no complete@10 in multi for th/th, en/th"):
        check_measured(GateSpec(languages=("th",)), measured)
    with pytest.raises(SpecError, match=r"no monolingual acc@1 of zh"):
        check_measured(GateSpec(), [one for one in measured if (one.scenario, one.lang) != ("mono", "zh")])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "improved"),
        ({("mono", "de", "de", "acc@1"): lost(0.06)}, "regressed"),  # below the margin, and beyond chance
        ({("mono", "en", "en", "ndcg@10"): lost(0.015)}, "improved"),  # could be chance
        ({("mono", "en", "en", "ndcg@10"): [-0.009] * N}, "improved"),  # within the margin
        ({("multi", "en", "de", "complete@10"): lost(0.1)}, "regressed"),
        ({("multi", "en", "de", "complete@10"): lost(0.015)}, "improved"),
        (primary(lambda *_: swapped(0.08)), "unchanged"),
        (primary(lambda *_: lost(0)), "unchanged"),
    ],
)
def test_an_outcome_counts_only_what_is_shown(changed: Changes, expected: str) -> None:
    assert outcome(compared(changed), GateSpec()) == expected


def test_a_decision_of_before_opens() -> None:
    later = {"lost", "gained", "gain", "cost", "needed"}
    older = Decision.model_validate_json(decide(compared(n=5), GateSpec()).model_dump_json(exclude=later))
    assert (older.gain, older.cost, older.needed) == (None, (), None)


@pytest.mark.parametrize(
    ("gate", "audit", "lacking"),
    [
        (GateSpec(), AuditSpec(cutoffs=(5,)), "cutoff 10"),
        (GateSpec(metric="complete@5"), AuditSpec(), "cutoff 5"),
        (GateSpec(), AuditSpec(scenarios=("multi",)), "scenario mono"),
        (GateSpec(scenario="cross", metric="mrr"), AuditSpec(scenarios=("mono",)), "scenario cross"),
        (GateSpec(languages=("de", "zh")), AuditSpec(languages=("de",)), "language zh"),
    ],
)
def test_a_gate_that_the_audits_leave_out_is_refused_before_them(
    gate: GateSpec, audit: AuditSpec, lacking: str
) -> None:
    with pytest.raises(SpecError, match=lacking):
        check_asked(gate, audit)
    check_asked(GateSpec(), AuditSpec())
    check_asked(GateSpec(metric="acc@1"), AuditSpec())
