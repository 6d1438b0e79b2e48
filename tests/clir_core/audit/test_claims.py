"""Claims from figures made by hand: who wins from either side, how sure, how much, and where nothing can be said."""

import pytest

from clir_core.audit.claim import Claim, ClaimName
from clir_core.audit.claims import claims
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.scenarios.pool_info import PoolInfo

SPEC = AuditSpec()


def figure(metric: str, value: float, **more: object) -> MetricRow:
    """Of German, from 300 queries in as many clusters, close to the truth, without a doubt."""
    plain = {
        "scenario": "multi",
        "query_lang": "de",
        "lang": "de",
        "unit": "share",
        "n": 300,
        "clusters": 300,
        "p": 1e-6,
    }
    given = plain | {"low": value - 0.03, "high": value + 0.03} | more
    return MetricRow.model_validate(given | {"metric": metric, "value": value})


def side(value: float, query_lang: str = "de", lang: str = "de", **more: object) -> MetricRow:
    return figure("inclination", value, query_lang=query_lang, lang=lang, **more)


def mono(value: float, lang: str = "de", **more: object) -> MetricRow:
    return figure("acc@1", value, scenario="mono", query_lang=lang, lang=lang, unit="rate", **more)


def pool(scenario: str, size: int, lang: str = "de", query_lang: str | None = None) -> PoolInfo:
    of = {
        "languages": (lang,),
        "sizes": {lang: size},
        "share": None,
        "seed": 0,
        "documents_sha256": "",
        "per_query": None,
    }
    return PoolInfo(scenario=scenario, query_lang=query_lang or lang, lang=lang, **of)


def said(*rows: MetricRow, pools: tuple[PoolInfo, ...] = (), spec: AuditSpec = SPEC) -> Claim:
    (claim,) = claims(rows, pools, ("de",), spec)
    return claim


@pytest.mark.parametrize(
    ("of_x", "of_english", "expected"),
    [
        (0.3, 0.3, "english_inclination"),
        (0.3, 0.0, "english_inclination"),
        (-0.3, -0.3, "x_inclination"),
        (0.0, -0.3, "x_inclination"),
        (-0.3, 0.3, "own_language_inclination"),
        (-0.3, 0.0, "own_language_inclination"),
        (0.0, 0.3, "own_language_inclination"),
        (0.3, -0.3, "other_language_inclination"),
        (0.0, 0.0, "none_found"),
    ],
)
def test_who_wins_from_either_side_says_what_it_is(of_x: float, of_english: float, expected: ClaimName) -> None:
    claim = said(side(of_x), side(of_english, "en"))
    assert claim.claim == expected
    assert [one.query_lang for one in claim.sides] == ["de", "en"]


def test_a_claim_has_the_figures_of_the_side_that_wins_most() -> None:
    claim = said(side(0.2), side(-0.4, "en", n=280, clusters=50, p=1e-9))
    assert (claim.size, claim.low, claim.high) == pytest.approx((-0.4, -0.43, -0.37))
    assert (claim.n, claim.clusters, claim.p) == (280, 50, 2e-9)
    # a large figure that chance could make is not what the claim is about
    unsure = said(side(0.2), side(-0.4, "en", p=0.2, low=-0.9, high=0.1))
    assert (unsure.claim, unsure.size) == ("english_inclination", 0.2)


def test_first_documents_stand_beside_the_sides_that_have_them() -> None:
    first = [figure(f"unrelated_first({who})", rate) for who, rate in (("en", 0.2), ("x", 0.01))]
    of_x, of_english = said(side(0.3), side(0.3, "en"), *first).sides
    assert (of_x.english_first, of_x.x_first) == (0.2, 0.01)
    assert (of_english.english_first, of_english.x_first) == (None, None)


def test_what_chance_could_make_is_not_claimed() -> None:
    first = figure("unrelated_first(en)", 0.1)

    def of(p: float | None, *others: MetricRow) -> ClaimName:
        return said(side(0.1, p=p, low=0.0, high=0.14), first, *others).claim

    assert of(0.06) == "none_found"
    assert of(0.04) == "english_inclination"
    # two sides, two chances
    assert of(0.04, side(0.0, "en", p=0.9)) == "none_found"
    assert of(None) == "none_found"


def test_every_language_is_a_chance_more() -> None:
    langs = ("de", "fr", "hi", "th", "zh")
    rows = [side(0.3, lang, lang, p=0.012 if lang == "de" else 0.5, low=0.2, high=0.4) for lang in langs]
    assert claims(rows[:1], (), langs[:1], SPEC)[0].claim == "english_inclination"
    found = {claim.language: claim for claim in claims(rows, (), langs, SPEC)}
    assert found["de"].p == pytest.approx(0.06)
    assert not any(claim.is_inclination for claim in found.values())


def test_what_is_too_small_to_matter_is_not_claimed_however_sure() -> None:
    assert said(side(0.049, p=1e-12)).claim == "none_found"
    assert said(side(0.051, p=1e-12)).claim == "english_inclination"
    assert said(side(0.051, p=1e-12), spec=AuditSpec(min_inclination=0.1)).claim == "none_found"
    assert said(side(0.002, p=1e-12, low=0.001, high=0.003), spec=AuditSpec(min_inclination=0)).is_inclination


def test_silence_says_something_only_where_a_clear_inclination_is_excluded() -> None:
    assert said(side(0.0, p=1, low=-0.1, high=0.12)).claim == "cannot_say"  # nothing outranks
    erring = figure("unrelated_first(en)", 0.1), figure("unrelated_first(x)", 0.1)
    assert said(side(0.0, p=1, low=-0.1, high=0.12), *erring).claim == "none_found"
    wide = said(side(0.02, p=0.8, low=-0.18, high=0.22), *erring)
    assert (wide.claim, wide.reason) == ("cannot_say", "too few queries to exclude a net 22 %")
    # either side can be the doubtful one
    assert said(side(0.0), side(0.1, "en", p=0.3, low=-0.1, high=0.3)).claim == "cannot_say"


def test_few_clusters_decide_nothing_against_an_inclination() -> None:
    claim = said(side(0.1, p=0.4, low=-0.05, high=0.14, n=300, clusters=19))
    assert (claim.claim, claim.reason) == ("cannot_say", "19 clusters of queries are too few")
    assert said(side(0.1, p=0.4, low=-0.05, high=0.14, clusters=1)).reason == "1 cluster of queries is too few"
    assert said(side(0.1, p=0.4, low=-0.05, high=0.14, clusters=20)).claim == "none_found"
    # what is shown is shown
    assert said(side(0.9, p=0.001, low=0.5, high=1.0, clusters=12)).claim == "english_inclination"


def test_in_a_small_pool_there_is_little_to_see() -> None:
    small, large = pool("multi", 6), pool("multi", 20)
    quiet = side(0.0, p=1, low=-0.01, high=0.01)
    assert said(quiet, pools=(small,)).reason == "a pool of 6 documents is too small to show one"
    assert said(quiet, pools=(large,)).claim == "none_found"
    assert said(side(0.5), pools=(small,)).claim == "english_inclination"


def test_without_any_query_nothing_can_be_said() -> None:
    claim = said()
    assert (claim.claim, claim.sides) == ("cannot_say", ())
    assert claim.reason == "no query was ranked among English and German documents"


def test_a_language_that_is_not_retrieved_has_no_preference() -> None:
    claim = said(mono(0.049), side(0.9), pools=(pool("mono", 200),))
    assert (claim.claim, claim.size, claim.sides, claim.n) == ("cannot_retrieve", None, (), 300)
    assert claim.reason.startswith("German queries find the relevant German document first for only 5 % of them")
    assert said(mono(0.2), side(0.9), pools=(pool("mono", 200),)).claim == "english_inclination"
    # no more chances are corrected for than there are claims
    rows = [mono(0.0, "hi"), side(0.9, "hi", "hi"), mono(0.9), side(0.3, p=0.04)]
    found = {
        one.language: one for one in claims(rows, (pool("mono", 200), pool("mono", 200, "hi")), ("de", "hi"), SPEC)
    }
    assert (found["de"].claim, found["de"].p, found["hi"].claim) == ("english_inclination", 0.04, "cannot_retrieve")


def test_guessing_in_a_small_pool_is_no_retrieval() -> None:
    """First for 3 of 10 where 1 of 4 is by chance: (.3 - .25) / .75 = .07."""
    assert said(mono(0.3), side(0.9), pools=(pool("mono", 4),)).claim == "cannot_retrieve"
    assert said(mono(0.4), side(0.9), pools=(pool("mono", 4),)).claim == "english_inclination"
    # a pool of the gold alone says nothing
    assert said(mono(1.0), side(0.9), pools=(pool("mono", 1),)).claim == "english_inclination"
    loose = AuditSpec(min_retrieval=0)
    assert said(mono(0.3), side(0.9), pools=(pool("mono", 4),), spec=loose).claim == "english_inclination"


def test_three_failures_are_no_failure() -> None:
    claim = said(mono(0.0, n=3, clusters=3), side(0.9), pools=(pool("mono", 200),))
    assert claim.claim == "cannot_say"
    assert claim.reason.startswith("3 clusters of queries are too few; German queries find")


def test_without_english_there_is_nothing_to_compare_with() -> None:
    rows = [mono(0.01, "en"), *(row for lang in ("de", "fr") for row in (mono(0.9, lang), side(0.3, lang, lang)))]
    pools = tuple(pool("mono", 200, lang) for lang in ("en", "de", "fr"))
    found = claims(rows, pools, ("de", "fr"), SPEC)
    assert [(one.language, one.claim) for one in found] == [("de", "cannot_say"), ("fr", "cannot_say")]
    assert all(one.reason.startswith("English queries find") for one in found)


def test_pools_that_need_no_translation_speak_where_few_queries_have_one() -> None:
    distractor = side(0.3, scenario="distractor", n=900)
    claim = said(side(0.0, n=30, p=1), distractor)
    assert (claim.claim, claim.n, claim.sides[0].scenario) == ("english_inclination", 900, "distractor")
    assert said(side(0.0, n=900, p=1), distractor).claim == "none_found"


def test_german_documents_above_the_only_relevant_german_one_bury_no_english() -> None:
    claim = said(side(-0.6, scenario="distractor"))
    assert (claim.claim, claim.sides[0].lean) == ("none_found", None)


def test_the_worst_comes_first_then_what_cannot_be_retrieved_and_said() -> None:
    rows = [
        side(0.2, "de", "de"),
        side(-0.5, "fr", "fr"),
        side(0.0, "hi", "hi", p=1),
        side(0.1, "th", "th", p=1, low=-0.5, high=0.6),
        mono(0.0, "zh"),
    ]
    found = claims(rows, (pool("mono", 200, "zh"),), ("de", "fr", "hi", "th", "zh"), SPEC)
    assert [(one.language, one.claim) for one in found] == [
        ("fr", "own_language_inclination"),
        ("de", "english_inclination"),
        ("zh", "cannot_retrieve"),
        ("th", "cannot_say"),
        ("hi", "none_found"),
    ]


def test_rows_without_clusters_are_older_than_clusters() -> None:
    assert said(side(0.0, p=1, low=-0.1, high=0.1, clusters=None)).claim == "cannot_say"


def test_claims_survive_json() -> None:
    claim = said(side(0.3), side(-0.3, "en"))
    assert Claim.model_validate_json(claim.model_dump_json()) == claim


def test_a_few_missing_translations_take_no_claim_away() -> None:
    """Pools that need no translation show English's wins alone: they stand in only where most queries have none."""
    own = side(-0.1, scenario="distractor")
    assert said(side(-0.6, n=299), own).claim == "own_language_inclination"
    assert said(side(-0.6, n=120), own).claim == "none_found"


def test_one_side_alone_says_what_it_cannot_tell_apart() -> None:
    alone = said(side(0.6, query_lang="en"))
    assert (alone.claim, alone.asked_in) == ("own_language_inclination", "en")
    assert "English queries alone tell it from English inclination" in alone.reason


def test_a_scenario_that_was_not_asked_for_is_no_lack_of_data() -> None:
    assert "not asked for" in said(spec=AuditSpec(scenarios=("nway",))).reason
