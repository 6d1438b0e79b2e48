"""Scripts of languages as CLDR has them, and texts that are in none of their language's."""

import polars as pl
import pytest

from clir_core.corpus.script import foreign, scripts_of


@pytest.mark.parametrize(
    ("lang", "scripts"),
    [
        ("de", {"Latn"}),
        ("ru", {"Cyrl"}),
        ("hi", {"Deva"}),
        ("zh", {"Hani", "Bopo"}),
        ("zh-Hant", {"Hani", "Bopo"}),
        ("ja", {"Hani", "Hira", "Kana"}),
        ("ko", {"Hang", "Hani"}),
        ("sr", {"Cyrl", "Latn"}),
        ("sr-Latn", {"Latn"}),
        ("hi-Latn", {"Latn"}),
        ("hmn", set()),  # CLDR knows no script of it
        ("de-Zzzz", set()),
    ],
)
def test_a_language_has_the_scripts_that_it_is_written_in(lang: str, scripts: set[str]) -> None:
    assert scripts_of(lang) == scripts


@pytest.mark.parametrize(
    ("lang", "text", "found"),
    [
        ("de", "Пчёлы находят дорогу домой.", True),
        ("de", "Bienen finden nach Hause.", False),
        ("de", "Die Zeitung «Правда» erschien in Moskau.", False),
        ("zh", "Bees find their way home.", True),
        ("zh", "什么是 TensorFlow?", False),
        ("ja", "コーヒー", False),
        ("ja", "ユーロ", False),
        ("ko", "벌은 집을 찾는다", False),
        ("ar", "كيف تجد النحل طريقها", False),
        ("ar", "Wie finden Bienen heim?", True),
        ("sr", "Pčele nalaze put kući.", False),
        ("sr-Cyrl", "Pčele nalaze put kući.", True),
        ("hmn", "Bees find their way home.", False),
        ("de", "1984, 50 %", False),
        ("zh", "OK", False),  # too short to say
        ("zh", "", False),
        ("zh", "Bees find home. " * 10 + "蜜蜂" * 500, True),  # what comes late is not read
    ],
)
def test_a_text_in_another_script_is_found(lang: str, text: str, found: bool) -> None:
    assert (len(foreign(pl.DataFrame({"text": [text]}), lang)) == 1) == found


def test_the_rows_stay_as_they_are() -> None:
    texts = pl.DataFrame({"id": ["a", "b"], "text": ["Bienen fliegen.", "Пчёлы летают."]})
    assert foreign(texts, "de").equals(texts[1:])
