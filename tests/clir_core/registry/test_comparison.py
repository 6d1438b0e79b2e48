"""Which two checkpoints are compared when nobody says, by audits that asked both the same."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from report_case import result

from clir_core.errors import SpecError
from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.comparison import compare_checkpoints
from clir_core.registry.facts import Audited, Found
from clir_core.registry.registry import Registry

START = datetime(2026, 3, 4, tzinfo=UTC)
POOLS = (("mono", "en", "en"), ("mono", "de", "de"), ("multi", "de", "de"), ("multi", "en", "de"))
METRICS = ("acc@1", "ndcg@10", "complete@10")


class History:
    """A family, checkpoint by checkpoint, an hour apart."""

    def __init__(self, place: Path) -> None:
        self.place, self.registry, self.n = place, Registry(place / "ws"), 0

    def add(self, name: str, value: float | None, asked: str = "q1", **changes: object) -> str:
        """A checkpoint, and its audit with this value for every query and metric; None for one that failed."""
        self.n += 1
        at, key = START + timedelta(hours=self.n), f"{self.n:064x}"
        fields = {"checkpoint": key, "name": name, "ref": f"/models/{name}", "family": "e5", "source": "incoming"}
        self.registry.add(Found.model_validate(fields | {"at": at} | changes))
        fact = {"checkpoint": key, "asked": asked, "corpus": "demo", "outcome": "failed", "at": at}
        if value is not None:
            fact |= {"outcome": "measured", "out": self._saved(name, value)}
        self.registry.add(Audited.model_validate(fact))
        return key

    def _saved(self, name: str, value: float) -> Path:
        directory = self.place / name
        directory.mkdir()
        (directory / "audit.json").write_text(result().model_dump_json(), "utf-8")
        rows = [
            dict(zip(("scenario", "query_lang", "lang"), pool, strict=True))
            | {"query_id": f"q{i}"}
            | dict.fromkeys(METRICS, value)
            for pool in POOLS
            for i in range(20)
        ]
        pl.DataFrame(rows).write_parquet(directory / "queries.parquet")
        return directory

    def compared(self, after: str | None = None, before: str | None = None) -> tuple[str, str, str]:
        found = compare_checkpoints(CompareSpec(after=after, before=before, workspace=self.place / "ws"))
        return found.before, found.after, found.outcome


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_the_last_one_is_held_against_the_one_before_it(history: History) -> None:
    for name, value in (("one", 0.5), ("two", 0.9), ("three", 0.2)):
        history.add(name, value)
    assert history.compared() == ("two", "three", "regressed")
    assert history.compared("two") == ("one", "two", "improved")
    assert history.compared("three", before="one") == ("one", "three", "regressed")


def test_a_parent_comes_before_a_neighbour(history: History) -> None:
    parent = history.add("one", 0.5)
    history.add("two", 0.9)
    history.add("three", 0.95, parent=parent)
    assert history.compared() == ("one", "three", "improved")


def test_a_neighbour_without_an_audit_to_share_is_passed_over(history: History) -> None:
    history.add("one", 0.5)
    history.add("broken", None)
    history.add("elsewhere", 0.9, asked="q2")
    history.add("good", 0.5)
    assert history.compared() == ("one", "good", "unchanged")


def test_a_failed_audit_is_not_the_last_one(history: History) -> None:
    history.add("one", 0.5)
    history.add("two", 0.9)
    history.add("broken", None)
    assert history.compared() == ("one", "two", "improved")


def test_one_without_a_predecessor_says_so(history: History) -> None:
    with pytest.raises(SpecError, match="nothing was audited yet"):
        history.compared()
    history.add("one", 0.5)
    with pytest.raises(SpecError, match="one is the first of the family e5; say what to hold it against"):
        history.compared()


def test_audits_of_other_questions_are_not_compared(history: History) -> None:
    history.add("one", 0.5)
    history.add("two", 0.5, asked="q2")
    with pytest.raises(SpecError, match=r"no audit asked both the same \(one on demo; two on demo\); audit them with"):
        history.compared()
