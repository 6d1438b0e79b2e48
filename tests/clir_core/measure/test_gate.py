"""Every way through the gate, on differences written by hand, and once on audits that are compared."""

import numpy as np
import polars as pl
import pytest

from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.errors import SpecError
from clir_core.measure.compare import Difference, compare
from clir_core.measure.gate import check, check_asked, check_measured, decide, outcome
from clir_core.measure.gate_spec import GateSpec
from clir_core.measure.metrics import units


def row(
    scenario: str, query: str | None, lang: str | None, metric: str, gain: float, p: float = 0.001, wide: float = 0.005
) -> Difference:
    return Difference(
        scenario=scenario, query_lang=query, lang=lang, metric=metric, before=0.5, after=0.5 + gain, difference=gain,
        low=gain - wide, high=gain + wide, p=p / 4, p_holm=p, n=1190, unit="rate",
    )  # fmt: skip


def rows(*changed: Difference, langs: tuple[str, ...] = ("de", "zh")) -> list[Difference]:
    """All that a promotion needs, but for these."""
    found = [row("mono", lang, lang, metric, 0.0) for lang in ("en", *langs) for metric in ("acc@1", "ndcg@10")]
    found += [row("multi", query, lang, "complete@10", 0.3) for lang in langs for query in (lang, "en")]
    # nothing that the gate looks at
    found += [row("multi", None, lang, "language_gap(complete@10)", -0.3) for lang in langs]
    found += [row("mono", lang, lang, "mrr", -0.3) for lang in langs]
    new = {key(one): one for one in changed}
    return [new.pop(key(one), one) for one in found] + list(new.values())


def key(one: Difference) -> tuple[str, str | None, str | None, str]:
    return one.scenario, one.query_lang, one.lang, one.metric


def test_a_gain_everywhere_at_no_cost_is_promoted() -> None:
    certain = row("mono", "de", "de", "acc@1", -0.006, wide=0.001)
    decision = decide(rows(row("mono", "zh", "zh", "acc@1", -0.004), certain), GateSpec())
    assert decision.status == "promoted"
    assert decision.reason == (
        "Complete@10 in multi improves beyond chance for German queries 0.500 to 0.800 (+0.300, p = 0.001); English "
        "queries beside German 0.500 to 0.800 (+0.300, p = 0.001); Chinese queries 0.500 to 0.800 (+0.300, p = 0.001); "
        "English queries beside Chinese 0.500 to 0.800 (+0.300, p = 0.001). Monolingual acc@1 and ndcg@10 lose no more "
        "than 0.010 in any language, intervals included; nearest is acc@1 in Chinese 0.500 to 0.496 (-0.004, interval "
        "-0.009 to +0.001, 1,190 queries)."
    )
    assert [(one.query_lang, one.lang) for one in decision.primary] == [
        ("de", "de"), ("en", "de"), ("zh", "zh"), ("en", "zh"),
    ]  # fmt: skip
    assert len(decision.mono) == 6


@pytest.mark.parametrize("lang", ["en", "de", "th"])
@pytest.mark.parametrize("metric", ["acc@1", "ndcg@10"])
def test_a_loss_above_the_margin_is_rejected_in_any_language(lang: str, metric: str) -> None:
    """English and languages that are not gated included."""
    changed = [row("mono", "th", "th", name, 0.0) for name in ("acc@1", "ndcg@10")]
    changed = [one for one in changed if one.lang != lang or one.metric != metric]
    decision = decide(rows(*changed, row("mono", lang, lang, metric, -0.0101)), GateSpec())
    assert decision.status == "rejected"
    name = {"en": "English", "de": "German", "th": "Thai"}[lang]
    assert decision.reason.startswith(
        f"Monolingual retrieval loses more than 0.010: {metric} in {name} 0.500 to 0.490 (-0.010, interval -0.015 to "
        "-0.005, 1,190 queries). Complete@10 in multi improves beyond chance for German queries"
    )


def test_losses_are_listed_worst_first() -> None:
    changed = [row("mono", "en", "en", "acc@1", -0.02), row("mono", "zh", "zh", "ndcg@10", -0.05)]
    assert "0.010: ndcg@10 in Chinese 0.500 to 0.450" in decide(rows(*changed), GateSpec()).reason


def test_a_loss_of_just_the_margin_is_none() -> None:
    """0.90 - 0.91 is -0.010000000000000009."""
    exact = row("mono", "de", "de", "acc@1", 0.90 - 0.91, wide=0.0)
    assert decide(rows(exact), GateSpec()).status == "promoted"
    assert decide(rows(exact), GateSpec(margin=0.009)).status == "rejected"


def test_a_loss_that_cannot_be_excluded_makes_a_candidate() -> None:
    doubtful = rows(row("mono", "en", "en", "ndcg@10", 0.001, wide=0.02))
    decision = decide(doubtful, GateSpec())
    assert decision.status == "candidate"
    assert decision.reason.startswith("Complete@10 in multi improves beyond chance for German queries")
    assert decision.reason.endswith(
        "A monolingual loss of more than 0.010 cannot be excluded: ndcg@10 in English 0.500 to 0.501 (+0.001, interval "
        "-0.019 to +0.021, 1,190 queries)."
    )
    assert decide(doubtful, GateSpec(margin=0.02)).status == "promoted"


@pytest.mark.parametrize("query", ["de", "en"])
def test_a_gain_in_some_languages_or_for_one_query_side_makes_a_candidate(query: str) -> None:
    decision = decide(rows(row("multi", query, "de", "complete@10", 0.01, p=0.05)), GateSpec())
    assert decision.status == "candidate"
    asked = "German queries" if query == "de" else "English queries beside German"
    assert f". Not beyond chance for {asked} 0.500 to 0.510 (+0.010, p = 0.050). Monolingual" in decision.reason
    assert asked not in decision.reason.partition("Not beyond chance")[0]


def test_both_doubts_are_told() -> None:
    changed = [row("mono", "en", "en", "acc@1", 0.0, wide=0.02), row("multi", "de", "de", "complete@10", 0.01, p=0.3)]
    reason = decide(rows(*changed), GateSpec()).reason
    assert "Not beyond chance for German" in reason and "cannot be excluded: acc@1 in English" in reason


def test_a_gain_nowhere_is_rejected() -> None:
    changed = [row("multi", query, lang, "complete@10", 0.01, p=0.2) for lang in ("de", "zh") for query in (lang, "en")]
    decision = decide(rows(*changed), GateSpec())
    assert decision.status == "rejected"
    assert decision.reason.startswith("Complete@10 in multi improves beyond chance in no gate language: German queries")
    lost = decide(rows(*changed, row("mono", "de", "de", "acc@1", -0.3)), GateSpec())
    assert lost.reason.endswith("Complete@10 in multi improves beyond chance in no gate language.")


def test_getting_worse_beyond_chance_is_rejected_whatever_else_improves() -> None:
    decision = decide(rows(row("multi", "en", "de", "complete@10", -0.02)), GateSpec())
    assert decision.status == "rejected"
    assert decision.reason.startswith(
        "Complete@10 in multi gets worse beyond chance for English queries beside German 0.500 to 0.480 (-0.020, "
        "p = 0.001). Complete@10 in multi improves beyond chance for German queries"
    )


def test_of_a_metric_where_lower_is_better_a_fall_is_a_gain() -> None:
    for gain, status in ((-5.0, "promoted"), (5.0, "rejected")):
        changed = [row("multi", query, lang, "max_at_r", gain) for lang in ("de", "zh") for query in (lang, "en")]
        assert decide(rows(*changed), GateSpec(metric="max_at_r")).status == status


def test_only_gate_languages_have_to_improve() -> None:
    changed = [row("multi", query, "de", "complete@10", -0.1) for query in ("de", "en")]
    assert decide(rows(*changed), GateSpec(languages=("zh",))).status == "promoted"
    assert decide(rows(*changed), GateSpec()).status == "rejected"


def test_a_scenario_that_english_is_not_asked_in_has_one_query_side() -> None:
    changed = [row("distractor", lang, lang, "inclination_rate", -0.1) for lang in ("de", "zh")]
    decision = decide(rows(*changed), GateSpec(scenario="distractor", metric="inclination_rate"))
    assert (decision.status, len(decision.primary)) == ("promoted", 2)


def test_many_figures_are_cut_short() -> None:
    langs = ("ar", "de", "el", "es", "hi", "ru", "th", "zh")
    assert "; and 10 more. Monolingual" in decide(rows(langs=langs), GateSpec()).reason


@pytest.mark.parametrize(
    ("gate", "left_out", "message"),
    [
        (GateSpec(languages=("th",)), (), r"no complete@10 in multi for th/th, en/th \(query language/language\)"),
        (GateSpec(), (("multi", "en", "zh", "complete@10"),), "in multi for en/zh"),
        (GateSpec(scenario="cross"), (), "no complete@10 in cross for any language"),
        (GateSpec(), (("mono", "en", "en", "acc@1"),), "no monolingual acc@1 of en, so"),
        (GateSpec(), (("mono", "zh", "zh", "ndcg@10"),), "no monolingual ndcg@10 of zh, so"),
    ],
)
def test_what_the_audits_lack_is_an_error_that_names_it(gate: GateSpec, left_out: tuple, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        decide([one for one in rows() if key(one) not in left_out], gate)


def test_a_gate_that_no_audit_could_answer_is_found_before_the_training() -> None:
    directed = {"max_at_r", "inclination_rate", "rank_distance", "max_at_r_norm", "mrr", "acc@1"}
    directed |= {"complete@10", "ndcg@10", "recall@10", "tlr@10"}
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


def audit(shares: dict[tuple[str, str, str], float], n: int, seed: int) -> pl.DataFrame:
    """Every metric is 1 for this share of a pool's queries: those of a smaller share are among those of a larger."""
    random = np.random.default_rng(seed)
    parts = []
    for (scenario, query, lang), share in shares.items():
        value = (random.permutation(n) < share * n - 0.5).astype(float)
        keys = {"scenario": [scenario] * n, "query_lang": [query] * n, "lang": [lang] * n}
        keys |= {"query_id": [f"q{i}" for i in range(n)]}
        parts.append(pl.DataFrame(keys | dict.fromkeys(("acc@1", "ndcg@10", "complete@10"), value)))
    return pl.concat(parts)


@pytest.mark.parametrize(
    ("mono", "multi", "n", "status"),
    [
        (0.90, 0.9, 400, "promoted"),  # the same monolingual results, query by query
        (0.90, 0.3, 400, "rejected"),  # nothing changed
        (0.85, 0.9, 400, "rejected"),
        (0.8925, 0.9, 400, "candidate"),  # 3 queries lost: within the margin, but its interval is not
        (0.90, 0.36, 50, "rejected"),  # too few queries to tell
    ],
)
def test_audits_are_decided_as_they_were_made(mono: float, multi: float, n: int, status: str) -> None:
    pools = [("mono", "en", "en"), ("mono", "de", "de"), ("multi", "de", "de"), ("multi", "en", "de")]
    before, after = (
        audit({pool: of_mono if pool[0] == "mono" else of_multi for pool in pools}, n, 1)
        for of_mono, of_multi in ((0.90, 0.3), (mono, multi))
    )
    differences = compare(before, after, dict.fromkeys(("acc@1", "ndcg@10", "complete@10"), "rate"), 1000, 0)
    assert decide(differences, GateSpec()).status == status


def test_the_audit_of_the_base_tells_whether_the_gate_can_be_answered() -> None:
    kept = {"scenario", "query_lang", "lang", "metric", "n", "unit"}
    measured = [MetricRow(value=0.5, low=0.4, high=0.6, **one.model_dump(include=kept)) for one in rows()]
    check_measured(GateSpec(), measured)
    check_measured(GateSpec(languages=("zh",)), measured)
    with pytest.raises(SpecError, match="no complete@10 in multi for th/th, en/th"):
        check_measured(GateSpec(languages=("th",)), measured)
    with pytest.raises(SpecError, match=r"no monolingual acc@1 of zh"):
        check_measured(GateSpec(), [one for one in measured if (one.scenario, one.lang) != ("mono", "zh")])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((), "improved"),
        ((row("mono", "de", "de", "acc@1", -0.02, wide=0.015),), "regressed"),  # below the margin, and beyond chance
        ((row("mono", "en", "en", "ndcg@10", -0.02, wide=0.03),), "improved"),  # could be chance
        ((row("mono", "en", "en", "ndcg@10", -0.009, wide=0.001),), "improved"),  # within the margin
        ((row("multi", "en", "de", "complete@10", -0.1),), "regressed"),
        ((row("multi", "en", "de", "complete@10", -0.1, p=0.06),), "improved"),
        (
            tuple(row("multi", query, x, "complete@10", 0.1, p=0.06) for x in ("de", "zh") for query in (x, "en")),
            "unchanged",
        ),
        (tuple(row("multi", query, x, "complete@10", 0.0) for x in ("de", "zh") for query in (x, "en")), "unchanged"),
    ],
)
def test_an_outcome_counts_only_what_is_beyond_chance(changed: tuple[Difference, ...], expected: str) -> None:
    assert outcome(rows(*changed), GateSpec()) == expected


def test_an_outcome_knows_what_is_better_when_lower() -> None:
    lower = [row("distractor", x, x, "inclination_rate", 0.2) for x in ("de", "zh")]
    gate = GateSpec(metric="inclination_rate", scenario="distractor")
    assert outcome(rows(*lower), gate) == "regressed"
    lower = [row("distractor", x, x, "inclination_rate", -0.2) for x in ("de", "zh")]
    assert outcome(rows(*lower), gate) == "improved"


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
