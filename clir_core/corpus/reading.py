"""How a corpus is read where its files do not say: the fields that audits and alignments share."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from clir_core.corpus.lang import Lang
from clir_core.corpus.pivot import ENGLISH
from clir_core.spec import Spec

# every column that a mapping can name
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "documents": ("doc_id", "group_id", "lang", "text", "title"),
    "queries": ("query_id", "group_id", "lang", "text"),
    "qrels": ("query_id", "doc_id", "group_id", "grade"),
}

ParallelRule = Literal["check", "ids", "none"]


class ReadingSpec(Spec):
    """Columns of other names, whether titles belong to the texts, what equal ids in two languages mean, and which
    language the others are held against."""

    columns: dict[str, str] = Field(
        {}, description="Columns of other names than docs/corpora.md knows, such as documents.text=body"
    )
    titles: bool = Field(True, description="Whether a document's title goes before its text")
    parallel: ParallelRule = Field(
        "check",
        description="In a folder a language, what equal ids are: ids, translations; none, nothing; check, translations "
        "where the texts support it",
    )
    pivot: Lang = Field(
        ENGLISH, min_length=1, description="BCP-47 code of the language that every other one is held against"
    )

    @field_validator("columns")
    @classmethod
    def _are_ours(cls, columns: dict[str, str]) -> dict[str, str]:
        for name, theirs in columns.items():
            what, _, column = name.partition(".")
            if column not in COLUMNS.get(what, ()):
                known = ", ".join(f"{table}.{one}" for table, names in COLUMNS.items() for one in names)
                raise ValueError(f"{name!r} is no column; there are {known}")
            if not theirs.strip():
                raise ValueError(f"{name!r} is to be read from no column; name one")
        return columns

    def of_table(self, what: str) -> dict[str, str]:
        """Our column of this table and theirs."""
        mark = f"{what}."
        return {name.removeprefix(mark): theirs for name, theirs in self.columns.items() if name.startswith(mark)}


AS_IT_IS = ReadingSpec()
