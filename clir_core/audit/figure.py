"""Where a figure belongs: the pools that it is of, and its metric. Every row of a result has such a place and a key."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import Field, model_validator

from clir_core.scenarios.label import Key, name_in, share_in
from clir_core.spec import Spec


class Figure(Spec):
    """One metric in one pool; what was found there, its subclasses say."""

    scenario: str = Field(description="The scenario of the pools; share with its p, such as share(0.3)")
    share: float | None = Field(None, description="The p of share(p): the pivot's share of the unrelated documents")
    query_lang: str | None = Field(description="Language of the queries; null where a figure compares two")
    lang: str | None = Field(description="The language X beside the pivot; the pivot for its mono; null for nway")
    metric: str

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, row: Any) -> Any:
        """Results of before hold the share in the scenario alone."""
        if isinstance(row, dict) and "share" not in row and isinstance(row.get("scenario"), str):
            return row | {"share": share_in(row["scenario"])}
        return row

    @property
    def key(self) -> Key:
        """What finds it among the others of a result."""
        return (self.scenario, self.query_lang, self.lang, self.metric)

    @property
    def scenario_name(self) -> str:
        """The scenario without its share."""
        return name_in(self.scenario, self.share)


F = TypeVar("F", bound=Figure)


def by_key(rows: Iterable[F]) -> dict[Key, F]:
    """The rows by scenario, query language, X and metric."""
    return {row.key: row for row in rows}
