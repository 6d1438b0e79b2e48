"""Scripts: those that a language is written in, and texts that are written in none of them."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import polars as pl
from langcodes import Language
from langcodes.data_dicts import LIKELY_SUBTAGS

# ISO 15924 has codes for scripts that are written together, or in one of several ways
_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Hans": ("Hani", "Bopo"),
        "Hant": ("Hani", "Bopo"),
        "Hanb": ("Hani", "Bopo"),
        "Jpan": ("Hani", "Hira", "Kana"),
        "Hrkt": ("Hira", "Kana"),
        "Kore": ("Hang", "Hani"),
        "Aran": ("Arab",),
    }
)
_FEWEST_LETTERS = 5  # of less, such as a symbol or an abbreviation, nothing is said
# names and terms keep their script in every language: a text that has this much of the language's own may be of it
_LEAST_OWN = 0.1
_READ = 100  # characters of a text


@lru_cache(maxsize=4096)
def scripts_of(lang: str) -> frozenset[str]:
    """ISO 15924 codes of the scripts that a language is written in; none where that is not known.

    A tag that names a script means that one; of others, such as Serbian, all that CLDR's likely subtags know.
    """
    language = Language.get(lang)
    if language.script:
        found = {language.script}
    else:
        known = _written_in().get(str(language.language), frozenset())
        # a language that CLDR does not know would be maximised to American English
        found = {*known, str(language.maximize().script)} if known else set()
    parts = {part for script in found for part in _PARTS.get(script, (script,))}
    return frozenset(parts) if all(map(_is_known, parts)) else frozenset()


def foreign(texts: pl.DataFrame, lang: str) -> pl.DataFrame:
    """The rows whose `text` begins with letters of which hardly any is of a script that the language is written in.

    None where that script is not known. What shares it is not found: Dutch labelled `de`, or Chinese labelled `ja`; nor
    is what turns foreign after its first hundred characters, or holds a tenth of the language's own letters.
    """
    scripts = sorted(scripts_of(lang))
    if not scripts:
        return texts.clear()
    own = "".join(rf"\p{{scx={script}}}" for script in scripts)
    start = pl.col("text").str.head(_READ)
    counted = texts.with_columns(own=start.str.count_matches(rf"[\p{{L}}&&[{own}]]"))
    few = counted.filter(pl.col("own") < _LEAST_OWN * _READ)  # all that need a second look
    letters = start.str.count_matches(r"\p{L}")
    return few.filter(letters >= _FEWEST_LETTERS, pl.col("own") < _LEAST_OWN * letters).drop("own")


@lru_cache(maxsize=1)
def _written_in() -> Mapping[str, frozenset[str]]:
    """Scripts by language, of CLDR's likely subtags."""
    found: dict[str, set[str]] = {}
    for short, likely in LIKELY_SUBTAGS.items():
        # `und-Cyrl` says what is written in a script, not what a language is written in
        if not short.startswith("und"):
            language = Language.get(likely)
            found.setdefault(str(language.language), set()).add(str(language.script))
    return {language: frozenset(scripts) for language, scripts in found.items()}


@lru_cache(maxsize=512)
def _is_known(script: str) -> bool:
    """Whether regular expressions know the script."""
    try:
        pl.Series([""]).str.count_matches(rf"\p{{scx={script}}}")
    except pl.exceptions.ComputeError:
        return False
    return True
