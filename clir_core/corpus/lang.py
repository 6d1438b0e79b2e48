"""Language codes: BCP-47 tags, what they are called, how mteb writes them, and what a mistyped one meant."""

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated

import langcodes
from langcodes import Language
from langcodes.language_lists import CLDR_LANGUAGES
from pydantic import AfterValidator

# valid tags that name no language a text could be written in
_NO_LANGUAGE = {"und", "mul", "mis", "zxx"}
_COMMON = frozenset(CLDR_LANGUAGES)
# langcodes' scale: 0 the same, 4 a close dialect, 10 and more another language
_SAME_ENOUGH = 5
_FLORES = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")


@lru_cache(maxsize=4096)
def is_language(code: str) -> bool:
    """A valid tag of a language that has a known name: 'zh-Hant' and 'deu' are, 'zz' and 'klingonish' are not."""
    if not code or not langcodes.tag_is_valid(code):
        return False
    language = Language.get(code)
    name = language.language_name()
    return language.language is not None and language.language not in _NO_LANGUAGE and not name.startswith("Unknown")


@lru_cache(maxsize=4096)
def canonical(code: str) -> str:
    """How BCP-47 writes a language: 'deu' is 'de', 'en_US' is 'en-US', FLORES' 'zho_Hans' is 'zh'. Others stay."""
    if not is_language(code):
        return code
    return from_flores(code) if _FLORES.fullmatch(code) else str(langcodes.standardize_tag(code))


# a code that a user writes, as it is written everywhere else
Lang = Annotated[str, AfterValidator(canonical)]


def language_name(code: str) -> str:
    """The language in English: 'zh' is 'Chinese'. A code that is no language stays as it is."""
    return str(Language.get(code).display_name()) if is_language(code) else code


def mteb_code(code: str) -> str:
    """ISO 639-3 and script, as mteb writes languages: 'zh' is 'zho-Hans'."""
    language = Language.get(code).maximize()
    return f"{language.to_alpha3()}-{language.script}"


def is_same_language(one: str, other: str) -> bool:
    """Whether two codes name one language, however it is written and where: 'eng', 'en' and 'en-US' do."""
    named = [Language.get(code).to_alpha3() if is_language(code) else code for code in (one, other)]
    return named[0] == named[1]


def from_flores(code: str) -> str:
    """The BCP-47 tag of a FLORES code: 'zho_Hans' is 'zh', 'arb_Latn' is 'ar-Latn', 'prs_Arab' is 'fa-AF'."""
    language = Language.get(code).prefer_macrolanguage()
    # BCP-47 writes Dari as the Persian of Afghanistan
    bare = Language.make(language=language.language, territory=language.territory)
    usual = bare.maximize()
    # CLDR files Korean under Kore (Hangul and Han); for a language that it does not know it guesses American English
    is_usual = language.script in (usual.script, {"Kore": "Hang"}.get(usual.script)) or usual.territory == "US"
    return str(bare if is_usual else language)


def language_problem(code: str) -> str | None:
    """Why a corpus cannot use this language code, and what to write instead; None where it can."""
    if is_language(code):
        return None
    meant = closest(code)
    hint = f"did you mean {meant!r}?" if meant else "write one such as 'de' or 'zh-Hant'"
    return f"language {code!r} is not a BCP-47 code; {hint}"


def closest(code: str, known: Collection[str] = _COMMON) -> str | None:
    """The known code that was probably meant: 'german' and 'deu' mean 'de', 'jp' means 'ja'. None if none is near."""
    meant = list(_readings(code))
    for reading in meant:
        found = _same_language(reading, known)
        if found:
            return found
    # a code that is understood is not mistyped: only the others are compared letter by letter
    return None if meant else _spelled_alike(code, known)


def _readings(code: str) -> Iterator[str]:
    """What a code can mean: a tag, a language's name, a country's main language."""
    if is_language(code):
        yield canonical(code)
    if len(code) > 3:  # shorter ones are codes: no name is looked for
        with suppress(LookupError):
            yield str(langcodes.find(code))
    if len(code) == 2 and code.isascii() and code.isalpha():
        main = Language.make(territory=code.upper()).maximize().language
        # an unknown country maximises to English
        if main != "en":
            yield str(main)


def _same_language(reading: str, known: Collection[str]) -> str | None:
    if reading in known:
        return reading
    found, distance = langcodes.closest_match(reading, sorted(filter(is_language, known)))
    if distance <= _SAME_ENOUGH:
        return str(found)
    base = Language.get(reading).language
    return next((other for other in sorted(known) if is_language(other) and Language.get(other).language == base), None)


def _spelled_alike(code: str, known: Collection[str]) -> str | None:
    spellings = {spelling.lower(): other for other in sorted(known) for spelling in (other, language_name(other))}
    found = get_close_matches(code.lower(), spellings, n=1, cutoff=0.75)
    return spellings[found[0]] if found else None
