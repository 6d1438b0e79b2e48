"""Sentences of hand-made claims: each says what the claim says, with its figures, and no more."""

import pytest

from clir_core.audit.claim import Claim, ClaimName, Lean, Side
from clir_core.audit.verdict import headline, percent, sentence, severity, signed, verdict


def side(size: float = 0.31, query_lang: str = "de", lean: Lean | None = "en", **more: object) -> Side:
    plain = {"scenario": "multi", "low": size - 0.06, "high": size + 0.06, "n": 1190, "clusters": 240, "p": 1e-5}
    return Side.model_validate(plain | {"query_lang": query_lang, "size": size, "lean": lean} | more)


def claim(language: str = "de", name: ClaimName = "english_inclination", size: float = 0.31, **more: object) -> Claim:
    lean: Lean = "en" if size > 0 else "x"
    given = {"language": language, "claim": name, "size": size, "sides": (side(size, language, lean),)} | more
    return Claim.model_validate(given)


def none(language: str, name: ClaimName = "none_found", reason: str = "") -> Claim:
    return Claim(language=language, claim=name, reason=reason)


@pytest.mark.parametrize(
    ("size", "word"),
    [(0.05, "slight"), (0.149, "slight"), (0.15, "clear"), (-0.39, "clear"), (0.4, "severe"), (-1.0, "severe")],
)
def test_how_badly_is_a_word(size: float, word: str) -> None:
    assert severity(claim(size=size)) == word
    assert severity(none("de")) == ""


def test_the_headline_says_what_where_and_how_badly() -> None:
    assert headline([claim()], "m") == (
        "m: clear English inclination in German: a net 31 % of the German queries (25 % to 37 %) put more unrelated "
        "English documents above a relevant one than chance would."
    )


def test_the_headline_names_the_worst_and_no_language_worse_than_it_is() -> None:
    found = [claim("th", size=0.6), claim("de", size=0.2), claim("fr", size=0.06)]
    assert headline(found, "m").startswith(
        "m: severe English inclination in Thai, clear in German, slight in French: worst in Thai, where a net 60 % of "
        "the Thai queries (54 % to 66 %) put"
    )


def test_several_kinds_come_worst_first() -> None:
    found = [
        claim("th", "x_inclination", -0.5),
        claim("de", "own_language_inclination", -0.45),
        claim("fr", "x_inclination", -0.2),
        claim("zh", "other_language_inclination", 0.1),
    ]
    assert headline(found, "m").startswith(
        "m: severe inclination to Thai over English, clear to French, severe own-language inclination in German, "
        "slight other-language inclination in Chinese: worst in Thai, where a net 50 % of the Thai queries "
        "(44 % to 56 %) put more unrelated Thai documents above"
    )


def test_the_headline_is_of_the_side_that_the_claim_s_figures_are_of() -> None:
    sides = (side(0.1, "de", None), side(0.3, "en", "en"), side(-0.9, "de", None))
    said = headline([claim(size=0.3, sides=sides)], "m")
    assert ": a net 30 % of the English queries (24 % to 36 %) put more" in said


def test_the_headline_says_what_was_not_found_and_not_retrieved() -> None:
    rest = [none("hi", "cannot_retrieve", "x"), none("th", "cannot_say", "y"), none("fr")]
    assert headline(rest, "m") == (
        "m: it cannot retrieve in Hindi; cannot say for Thai; no inclination found in French."
    )
    assert headline([claim(), *rest], "m").endswith(
        "than chance would; it cannot retrieve in Hindi; cannot say for Thai; none found in French."
    )
    assert headline([], "m") == "m: no language beside English to compare it with."


def test_languages_are_listed_and_many_are_counted() -> None:
    assert headline([none("de"), none("fr")], "m") == "m: no inclination found in German and French."
    langs = ("de", "fr", "hi", "th", "zh", "ar")
    assert headline([none(lang) for lang in langs[:4]], "m").endswith("in German, French, Hindi and Thai.")
    assert headline([none(lang) for lang in langs], "m").endswith("in 6 languages (German, French, Hindi, Thai, ...).")


def test_a_sentence_has_both_sides_with_their_figures() -> None:
    sides = (side(english_first=0.214, x_first=0.004), side(-0.02, "en", None, n=1))
    assert sentence(claim(sides=sides)) == (
        "German: clear English inclination. German queries: net 31 % toward English (+25 % to +37 %, 1,190 queries in "
        "240 clusters); an unrelated English document comes first for 21 %, an unrelated German one for 0.4 %. English "
        "queries: net 2 % toward German (−8 % to +4 %, 1 query)."
    )


@pytest.mark.parametrize(
    ("n", "clusters", "counted"),
    [
        (1190, 240, "1,190 queries in 240 clusters)"),
        (72, 72, "72 queries)"),
        (72, 0, "72 queries)"),
        (18, 6, "18 queries in only 6 clusters)"),
        (6, 6, "6 queries in only 6 clusters)"),
        (5, 1, "5 queries in only 1 cluster)"),
        (1, 1, "1 query in only 1 cluster)"),
    ],
)
def test_queries_are_counted_and_few_clusters_said(n: int, clusters: int, counted: str) -> None:
    assert counted in sentence(claim(sides=(side(n=n, clusters=clusters),)))


def test_nothing_leans_nowhere() -> None:
    quiet = side(0.0, lean=None)
    assert "German queries: net 0 % (−6 % to +6 %, " in sentence(none("de").model_copy(update={"sides": (quiet,)}))


def test_an_x_that_wins_where_nothing_else_is_relevant_is_explained() -> None:
    own = side(-0.6, lean=None, scenario="distractor")
    found = sentence(none("de").model_copy(update={"sides": (own,)}))
    assert "net 60 % toward German (−66 % to −54 %, 1,190 queries in 240 clusters), which buries nothing: only" in found


def test_sentences_without_a_winner_say_why() -> None:
    assert sentence(none("th", "cannot_say", "3 clusters of queries are too few")) == (
        "Thai: cannot say, 3 clusters of queries are too few."
    )
    assert sentence(none("hi", "cannot_retrieve", "It finds none")) == (
        "Hindi: cannot retrieve. It finds none; nothing is said of preference."
    )
    assert sentence(claim("th", "x_inclination", -0.2)).startswith("Thai: clear Thai inclination. Thai queries: net")


def test_the_verdict_is_the_headline_and_a_sentence_a_language() -> None:
    found = [claim("th"), none("de")]
    assert verdict(found, "m") == (headline(found, "m"), sentence(found[0]), sentence(found[1]))


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (0.012, "1 %"), (0.0051, "0.5 %"), (0.996, "99.6 %"),
        (0.0004, "0.1 %"), (0.9999, "99.9 %"), (1 / 1190, "0.1 %"),
    ],
)  # fmt: skip
def test_no_share_is_said_to_be_none_or_all_that_is_not(rate: float, text: str) -> None:
    assert percent(rate) == text


def test_a_sign_is_that_of_the_share() -> None:
    assert [signed(share) for share in (-0.25, 0.0, -0.001, 1e-5, -1)] == ["−25 %", "0 %", "−0.1 %", "0 %", "−100 %"]
