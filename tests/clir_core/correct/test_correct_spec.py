"""What a correction consists of and needs, and which options belong to which."""

import pytest
from pydantic import ValidationError

from clir_core.correct.spec import Corrects


@pytest.mark.parametrize(
    ("asked", "parts", "documents", "queries", "language"),
    [
        ({}, (), False, False, False),
        ({"correction": "centring"}, ("centring",), True, False, True),
        ({"correction": "mean"}, ("mean",), True, True, True),
        ({"correction": "shift"}, ("shift",), True, False, False),
        ({"correction": "lir"}, ("lir",), True, False, True),
        ({"correction": "hub"}, ("hub",), False, True, True),
        ({"correction": "hub", "correction_languages": "all"}, ("hub",), False, True, False),
        ({"correction": "shift+hub", "correction_languages": "all"}, ("shift", "hub"), True, True, False),
        ({"correction": "mean+hub"}, ("mean", "hub"), True, True, True),
    ],
)
def test_what_it_is_fitted_on_and_has_to_know(
    asked: dict[str, str], parts: tuple[str, ...], documents: bool, queries: bool, language: bool
) -> None:
    spec = Corrects.model_validate(asked)
    assert (spec.parts, spec.reads_documents, spec.reads_queries) == (parts, documents, queries)
    assert spec.asks_language is language


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "m"),
        ({"correction": "mean+hub"}, "m + mean + hub"),
        ({"correction": "shift+hub", "correction_alpha": 0.6, "correction_k": 10}, "m + SHIFT 0.6 + hub k 10"),
        ({"correction": "hub", "correction_weight": 0.5, "correction_languages": "all"},
         "m + hub weight 0.5 of all languages"),
    ],
)  # fmt: skip
def test_a_name_tells_all_that_is_not_as_usual(asked: dict[str, object], name: str) -> None:
    assert Corrects.model_validate(asked).corrected("m") == name


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"correction_bank": "demo"}, "demo is for mean and hub alone, and the correction is none"),
        ({"correction": "lir", "correction_bank": "demo"}, "demo is for mean and hub alone, and the correction is lir"),
        ({"correction": "mean", "correction_k": 3}, "3 is for hub alone, and the correction is mean"),
        ({"correction": "hub", "correction_k": 0}, "greater than or equal to 1"),
        ({"correction": "hub+mean"}, "'mean\\+hub'"),
        ({"correction": "hub", "correction_languages": "zh"}, "'query' or 'all'"),
    ],
)
def test_what_does_not_fit_together_is_refused_once(asked: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as error:
        Corrects.model_validate(asked)
    assert error.value.error_count() == 1
