"""What an audit claims of a language: one claim, how large, how sure, and the two query sides that it rests on."""

from typing import Literal

from pydantic import Field

from clir_core.corpus.pivot import ENGLISH
from clir_core.spec import Spec

# what names English says so of English alone: beside another pivot the same is called by its role
ClaimName = Literal[
    "english_inclination",
    "pivot_inclination",
    "own_language_inclination",
    "x_inclination",
    "other_language_inclination",
    "none_found",
    "cannot_say",
    "cannot_retrieve",
]
INCLINATIONS: tuple[ClaimName, ...] = (
    "english_inclination",
    "pivot_inclination",
    "x_inclination",
    "own_language_inclination",
    "other_language_inclination",
)
Lean = Literal["en", "pivot", "x"]
# net share of the queries from which on an inclination is called clear, and severe
CLEAR, SEVERE = 0.15, 0.4
# fewer clusters are said, and decide nothing against an inclination
FEW_CLUSTERS = 20


class Side(Spec):
    """The queries of one language beside X: whose unrelated documents stand above what they look for."""

    query_lang: str
    scenario: str = Field(description="The pools that the figures are of")
    size: float = Field(description="Net share of all queries, + where the pivot wins, - where X does")
    low: float = Field(description="Of the 95 % interval of the size")
    high: float
    n: int
    clusters: int
    p: float = Field(description="Two-sided, of no preference, after Holm over all sides and languages of the audit")
    lean: Lean | None = Field(description="Who wins, where that is claimed")
    english_first: float | None = Field(None, description="Share with an unrelated document of the pivot first")
    x_first: float | None = Field(None, description="The same of X")
    complete: float | None = Field(
        None, description="Share with both versions among the first `k`, where pools are larger"
    )
    k: int | None = None

    @property
    def wins_pivot(self) -> bool:
        """Whether it is the pivot, English or another, that is claimed to win."""
        return self.lean in ("en", "pivot")


class Claim(Spec):
    """What is said of one language X beside the pivot. size to p are those of the side that it rests on most."""

    language: str
    pivot: str = Field(ENGLISH, description="What it is held against")
    claim: ClaimName
    asked_in: str | None = Field(None, description="Language of the queries that size to p are of")
    size: float | None = Field(None, description="Net share of all queries, + where the pivot wins, - where X does")
    low: float | None = None
    high: float | None = None
    n: int = 0
    clusters: int = 0
    p: float | None = None
    reason: str = Field("", description="Why nothing can be said, or what was not retrieved")
    sides: tuple[Side, ...] = ()

    @property
    def telling(self) -> Side | None:
        """The side whose figures are the claim's, where somebody wins."""
        found = (one for one in self.sides if one.lean and self.asked_in in (None, one.query_lang))
        return next(found, None)

    @property
    def is_inclination(self) -> bool:
        """Whether it names a winner."""
        return self.claim in INCLINATIONS
