"""What `clir correct` is asked: a table of vectors that serves already, to be corrected beside itself. Light."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from clir_core.correct.spec import CorrectionName, Corrects
from clir_core.spec import WORKSPACE, Place, Spec, sha256_of


class _Table(Spec):
    vectors: str | None = Field(
        None,
        pattern="^vectors:",
        description="vectors:DIR or vectors:URI?table=NAME, as an audit takes it: documents to correct, and queries "
        "that were asked, both with their language. None means the table that this workspace audited last",
    )
    out: Place | None = Field(
        None, description="A new folder for corrected vectors and query.json; None means corrections/ in the workspace"
    )
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

    def identity(self) -> str:
        """Hex sha256 over all that decides what is written of a table."""
        return sha256_of(self.model_dump(mode="json", include={*Corrects.model_fields, "lang"}))

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


class CorrectSummary(Spec):
    """What the flow returns: small, the rest is in `out`."""

    out: Path
    vectors: str = Field(description="Reference of the corrected table")
    needs_language: bool = Field(description="Whether a query's language has to be known")
