"""What a correction is asked to do, and what it has to be given. Light.

A name is one removal of the language (centring, mean, shift, lir), the hub correction (hub), or both: mean+hub.
"""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from clir_core.spec import Spec

CorrectionName = Literal["centring", "mean", "shift", "lir", "hub", "centring+hub", "mean+hub", "shift+hub", "lir+hub"]
HUB = "hub"
# as a result's name and its report call them
_LABELS = {"centring": "centring", "mean": "mean", "shift": "SHIFT", "lir": "LIR", "hub": "hub"}
FULL_SHIFT, NEIGHBOURS, WHOLE = 1.0, 5, 1.0
# which corrections an option is for
_FOR = {
    "correction_alpha": ("shift",),
    "correction_bank": ("mean", HUB),
    "correction_k": (HUB,),
    "correction_weight": (HUB,),
    "correction_languages": (HUB,),
}


class Corrects(Spec):
    """A correction of stored vectors, its parameters, and what it is fitted on."""

    correction: CorrectionName | None = Field(
        None,
        description="Take what a language adds out of the stored vectors (centring, mean, shift, lir), push down what "
        "is near to all queries (hub), or both; None ranks them as they are",
    )
    correction_fit: str | None = Field(
        None, min_length=1, description="The corpus to fit it on; None means #train for #test, #fit for #dev"
    )
    correction_bank: str | None = Field(
        None,
        min_length=1,
        description="Unlabelled queries for mean and hub: a corpus, or queries:FILE with text and lang; None means "
        "those of the corpus that it is fitted on",
    )
    correction_alpha: float = Field(
        FULL_SHIFT, ge=0, allow_inf_nan=False, description="Share of its vector that shift moves documents by"
    )
    correction_k: int = Field(NEIGHBOURS, ge=1, description="How many of a document's nearest queries hub looks at")
    correction_weight: float = Field(
        WHOLE, ge=0, allow_inf_nan=False, description="Share of their mean score that hub takes off twice a score"
    )
    correction_languages: Literal["query", "all"] = Field(
        "query", description="Whose queries hub looks at: those in the query's language, or all together"
    )

    @field_validator("correction_fit", *_FOR)
    @classmethod
    def _belongs_to_a_correction(cls, value: object, info: ValidationInfo) -> object:
        # where the correction itself is refused there is no `correction` here, and one complaint is enough
        if "correction" not in info.data or value == cls.model_fields[str(info.field_name)].default:
            return value
        correction = info.data["correction"]
        if correction is None and info.field_name not in _FOR:
            raise ValueError(f"{value} would be fitted on for no correction; add one, or leave this out")
        wanted = _FOR.get(str(info.field_name), ())
        if wanted and not {*wanted} & {*(correction or "").split("+")}:
            parts = " and ".join(wanted)
            raise ValueError(
                f"{value} is for {parts} alone, and the correction is {correction or 'none'}; leave it out"
            )
        return value

    @property
    def removal(self) -> str | None:
        """The part that takes a language out; None where there is none."""
        return next((part for part in self.parts if part != HUB), None)

    @property
    def has_hub(self) -> bool:
        """Whether it pushes hubs down."""
        return HUB in self.parts

    @property
    def parts(self) -> tuple[str, ...]:
        """What it consists of, in the order in which it is applied."""
        return tuple(self.correction.split("+")) if self.correction else ()

    @property
    def reads_documents(self) -> bool:
        """Whether it is fitted on documents."""
        return self.removal is not None

    @property
    def reads_queries(self) -> bool:
        """Whether it is fitted on queries."""
        return self.has_hub or self.removal == "mean"

    @property
    def asks_language(self) -> bool:
        """Whether a query's language has to be known when it is asked."""
        by_language = self.has_hub and self.correction_languages == "query"
        return by_language or self.removal in ("centring", "mean", "lir")

    def corrected(self, model: str) -> str:
        """What a model is called with it: its name, and the correction with all that is not as usual."""
        if self.correction is None:
            return model
        told = {
            "shift": f" {self.correction_alpha:g}",
            HUB: "".join(
                text
                for value, usual, text in (
                    (self.correction_k, NEIGHBOURS, f" k {self.correction_k}"),
                    (self.correction_weight, WHOLE, f" weight {self.correction_weight:g}"),
                    (self.correction_languages, "query", " of all languages"),
                )
                if value != usual
            ),
        }
        return " + ".join([model, *(f"{_LABELS[part]}{told.get(part, '')}" for part in self.parts)])
