"""What an audit claims of encoders whose preference is known, because their vectors were made to have it."""

from math import sqrt

import numpy as np
import polars as pl
import pytest
from encoders_case import Encoder

from clir_core import audit_vectors
from clir_core.audit.claim import Claim, ClaimName


def claim_of(encoder: Encoder) -> Claim:
    (claim,) = encoder.audit().result.claims
    return claim


NONE = {
    "perfect": Encoder(),
    "nearly perfect, with one slip": Encoder("slip", passages=238, per=5),
    "as many errors in either language": Encoder(noise=1.3, passages=240),
    "the same, 1:9": Encoder(noise=1.3, passages=120, only_x=960),
    "the same, 99:1": Encoder(noise=1.3, passages=40, only_english=3920),
}
INCLINED: dict[str, tuple[Encoder, ClaimName]] = {
    "English nearer to all": (Encoder("english", noise=0.5), "english_inclination"),
    "the same, 1:9": (Encoder("english", passages=48, noise=0.5, only_x=384), "english_inclination"),
    "the same, 99:1": (Encoder("english", passages=40, noise=0.5, only_english=3920), "english_inclination"),
    "X nearer to all": (Encoder("x", noise=0.5), "x_inclination"),
    "X nearer, 1:9": (Encoder("x", passages=48, noise=0.5, only_x=384), "x_inclination"),
    "X nearer, 99:1": (Encoder("x", passages=60, noise=0.2, only_english=5940), "x_inclination"),
    "own language nearer": (Encoder("own", noise=0.5), "own_language_inclination"),
    "other language nearer": (Encoder("other", noise=0.5), "other_language_inclination"),
    "languages apart": (Encoder("apart", noise=0.5), "own_language_inclination"),
}
SMALL = {
    "3 queries": Encoder("english", passages=3, only_english=60, only_x=60),
    "1 query": Encoder("english", passages=1, only_english=60, only_x=60),
    "6 documents": Encoder("english", passages=3),
    "6 documents, 300 perfect answers": Encoder(passages=3, per=100),
    "30 perfect answers": Encoder(passages=30),
    "3 random answers": Encoder("random", passages=3),
}


@pytest.mark.parametrize("encoder", NONE.values(), ids=NONE.keys())
def test_a_model_without_preference_is_not_called_inclined(encoder: Encoder) -> None:
    audit = encoder.audit()
    (claim,) = audit.result.claims
    assert claim.claim == "none_found" and not claim.is_inclination
    assert audit.verdict[0] == "neutral: no inclination found in German.".replace("neutral", encoder.kind)
    assert all(side.low < 0 < side.high and side.lean is None for side in claim.sides)


@pytest.mark.parametrize(("encoder", "expected"), INCLINED.values(), ids=INCLINED.keys())
def test_a_preference_is_called_what_it_is(encoder: Encoder, expected: ClaimName) -> None:
    claim = claim_of(encoder)
    assert claim.claim == expected
    assert abs(claim.size or 0) > 0.4 and (claim.p or 0) < 0.001
    assert (claim.n, claim.clusters) == (encoder.passages, encoder.passages)


def test_who_wins_from_either_side_is_said() -> None:
    winners = {kind: [side.lean for side in claim_of(Encoder(kind, noise=0.5)).sides] for kind in ("english", "x")}
    assert winners == {"english": ["en", "en"], "x": ["x", "x"]}
    # first German queries, then English ones
    sides = {kind: [side.lean for side in claim_of(Encoder(kind, noise=0.5)).sides] for kind in ("own", "other")}
    assert sides == {"own": ["x", "en"], "other": ["en", "x"]}


@pytest.mark.parametrize("encoder", SMALL.values(), ids=SMALL.keys())
def test_too_little_is_said_to_be_too_little(encoder: Encoder) -> None:
    audit = encoder.audit()
    (claim,) = audit.result.claims
    assert claim.claim == "cannot_say" and claim.reason
    assert audit.verdict[0] == f"{encoder.kind}: cannot say for German."


def test_what_cannot_be_retrieved_has_no_preference() -> None:
    assert claim_of(Encoder("random")).claim == "cannot_retrieve"
    audit = Encoder("unable", langs=("de", "fr")).audit()
    assert [(claim.language, claim.claim) for claim in audit.result.claims] == [
        ("de", "cannot_retrieve"),
        ("fr", "none_found"),
    ]
    assert audit.verdict[0] == "unable: it cannot retrieve in German; no inclination found in French."
    assert "find the relevant German document first for none of them" in audit.verdict[1]


@pytest.mark.parametrize("per", [1, 18])
def test_four_documents_below_all_english_ones_are_no_evidence_for_none(per: int) -> None:
    """400 English documents and 4 German ones: whatever is above them, English's share of it cannot stand out."""
    encoder = Encoder("english", passages=4, per=per, noise=0.5, only_english=396)
    assert claim_of(encoder).claim == "cannot_say"


def test_one_slip_in_1190_is_no_headline() -> None:
    claim = claim_of(NONE["nearly perfect, with one slip"])
    side = claim.sides[0]
    assert (side.query_lang, side.n, side.clusters) == ("de", 1190, 238)
    assert 0 < (side.english_first or 0) + (side.x_first or 0) <= 1 / 1190
    assert max(-side.low, side.high) < 0.05


def test_the_order_of_cutoffs_changes_no_claim_and_no_sentence() -> None:
    """complete@1 is 0 by definition where two versions are asked for."""
    one, other = (Encoder("english", noise=0.5).audit(cutoffs=cutoffs) for cutoffs in ((1, 10), (10, 1)))
    assert one.result.claims == other.result.claims and one.verdict == other.verdict
    assert one.result.claims == Encoder("english", noise=0.5).audit(cutoffs=(10,)).result.claims


def test_languages_are_judged_each_by_itself() -> None:
    """French is English's equal, German is not retrieved: two kinds of sentences, and no figure of one in the other."""
    audit = Encoder("unable", langs=("de", "fr", "th"), noise=1.1, passages=120).audit()
    assert {claim.language: claim.claim for claim in audit.result.claims} == {
        "de": "cannot_retrieve",
        "fr": "none_found",
        "th": "none_found",
    }


def test_one_query_with_an_english_stranger_above_its_answer_is_no_evidence() -> None:
    """Four documents, one query: an unrelated English one first, then the German answer, then its English version."""
    texts = {"en/a": (0.5, 0.8), "en/b": (1.0, 0.1), "de/a": (0.9, 0.4), "de/b": (-1.0, 0.0)}
    corpus = {
        "documents": pl.DataFrame({"doc_id": key, "group_id": key[-1], "lang": key[:2], "text": key} for key in texts),
        "queries": pl.DataFrame({"query_id": ["de/q"], "group_id": ["q"], "lang": ["de"], "text": ["q"]}),
        "qrels": pl.DataFrame({"query_id": ["de/q"], "group_id": ["a"], "grade": [1]}),
    }
    documents = {key: np.array(vector) / sqrt(vector[0] ** 2 + vector[1] ** 2) for key, vector in texts.items()}
    audit = audit_vectors(corpus, documents=documents, queries={"de/q": [1.0, 0.0]}, name="one")
    (claim,) = audit.result.claims
    assert claim.claim == "cannot_say"
    assert all(side.low < 0 < side.high for side in claim.sides)
    rates = audit.metrics.filter(metric="inclination_rate")
    assert rates["value"].to_list() == [1.0] and rates["low"].item() < 0.2  # never "100 % (100 % to 100 %)"
