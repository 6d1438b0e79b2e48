"""What `clir correct` is asked: a table of vectors that serves already, to be corrected beside itself. Light."""

from typing import Self

from pydantic import Field, model_validator

from clir_core.correct.spec import CorrectionName, Corrects
from clir_core.spec import WORKSPACE, Place, Spec


class _Table(Spec):
    vectors: str = Field(
        pattern="^vectors:",
        description="vectors:DIR or vectors:URI?table=NAME, as an audit takes it: documents to correct, and queries "
        "that were asked, both with their language",
    )
    out: Place = Field(description="A new folder for the corrected vectors and query.json")
    lang: str = Field("lang", min_length=1, description="The column of languages, in both tables")
    corpus: str | None = Field(
        None, description="A corpus of them, to audit before and after; its queries are not fitted on"
    )
    seen: tuple[str, ...] = Field(
        (), description="Corpora whose queries are among those: what answers them, and nothing here, leaves the pools"
    )
    workspace: Place = Field(WORKSPACE, description="Where the audits are kept")


class CorrectSpec(Corrects, _Table):
    """Correct a table of vectors: fitted on itself and on its unlabelled queries."""

    correction: CorrectionName | None = Field("mean+hub", description="As for an audit; shift alone needs translations")

    @model_validator(mode="after")
    def _is_fitted_on_the_table(self) -> Self:
        if self.correction is None or self.removal == "shift":
            raise ValueError(
                f"correction {self.correction} cannot be fitted on a table; take centring, mean, lir or hub"
            )
        if self.correction_fit or self.correction_bank:
            raise ValueError(
                "a table is corrected by its own documents and queries; leave correction_fit and _bank out"
            )
        return self
