"""Whether two texts are the same, whatever their case, punctuation, spaces and Unicode form."""

import sys
import unicodedata
from functools import lru_cache
from hashlib import sha256

_PUNCTUATION = ("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps")


def normalised(text: str) -> str:
    """NFKC, case folded, without punctuation and invisible characters, one space between words."""
    folded = _composed(_composed(text).casefold())
    words = _composed(folded.translate(_not_compared())).split()
    # a text of nothing but punctuation keeps it
    return " ".join(words or folded.split())


@lru_cache(maxsize=1 << 16)  # a passage comes back in every language and for every query
def digest(text: str) -> str:
    """The same for texts that are the same."""
    return sha256(normalised(text).encode()).hexdigest()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


@lru_cache
def _not_compared() -> dict[int, None]:
    codes = range(sys.maxunicode + 1)
    return {code: None for code in codes if unicodedata.category(chr(code)) in {"Cf", *_PUNCTUATION}}
