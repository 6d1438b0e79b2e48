"""A damaged registry is named, and what can be read of it is carried over; the damaged file stays beside it."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clir_core.registry.facts import Decided, Fact, Found
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.registry import Registry
from clir_core.registry.repair import examine

AT = datetime(2026, 3, 4, 15, 9, 26, 535897, tzinfo=UTC)


def written(workspace: Path, count: int) -> list[Fact]:
    """A registry of so many checkpoints, each decided by hand; its facts."""
    facts: list[Fact] = []
    for number in range(count):
        name = f"m{number}"
        facts += [
            Found(checkpoint=name, at=AT, name=name, ref=f"/{name}", family="f", source="audit"),
            Decided(checkpoint=name, at=AT, status="candidate", reason="語" * 300, by="me"),
        ]
    file = FactsFile(Registry(workspace).directory / NAME)
    file.path.parent.mkdir(parents=True)
    file.create(facts)
    return facts


def mend(workspace: Path) -> str:
    (finding,) = examine(workspace)
    assert finding.is_damage and finding.mend and "damaged" in finding.said
    return finding.mend()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garble_a_page(content: bytes) -> bytes:
    return content[: 4096 * 5] + b"\xa5" * 4096 + content[4096 * 6 :]


def garble_the_header(content: bytes) -> bytes:
    return b"\xff" * 100 + content[100:]


def lose_the_table(content: bytes) -> bytes:
    return content[:4096] + bytes(4096) + content[8192:]


@pytest.mark.parametrize(
    ("harm", "most_lost"),
    [(cut, 54), (garble_a_page, 8), (garble_the_header, 0), (lose_the_table, 0), (lambda _: b"", 100),
     (lambda _: b"no database" * 99, 100)],
    ids=["cut", "page", "header", "root", "zero bytes", "no database"],
)  # fmt: skip
def test_what_can_be_read_is_carried_over(harm: Callable[[bytes], bytes], most_lost: int, tmp_path: Path) -> None:
    facts = written(tmp_path, 50)
    file = FactsFile(Registry(tmp_path).directory / NAME)
    damaged = harm(file.path.read_bytes())
    file.path.write_bytes(damaged)
    said = mend(tmp_path)
    file.check()
    kept = file.facts(file.rows(1), after=0)
    assert [fact for fact in facts if fact in kept] == kept and len(kept) >= len(facts) - most_lost
    assert f"carried over {len(kept)} of at least " in said
    assert list(examine(tmp_path)) == [] and len(Registry(tmp_path).entries()) >= len(kept) // 2
    (aside,) = file.path.parent.glob(f"{NAME}.damaged-*")
    assert aside.read_bytes() == damaged and aside.name in said
    # and it is one to which facts are added
    assert Registry(tmp_path).add(Found(checkpoint="new", name="new", ref="/n", family="f", source="audit"))


def execute(workspace: Path, statement: str) -> None:
    """What somebody does to the file behind the registry's back."""
    with sqlite3.connect(Registry(workspace).directory / NAME) as connection:
        connection.execute(statement)
    connection.close()


def test_a_row_that_is_gone_is_told_once(tmp_path: Path) -> None:
    written(tmp_path, 3)
    execute(tmp_path, "DELETE FROM facts WHERE seq = 2")
    assert "carried over 5 of at least 6 facts" in mend(tmp_path)
    assert list(examine(tmp_path)) == []


def test_a_file_of_a_later_version_is_told_and_left_alone(tmp_path: Path) -> None:
    written(tmp_path, 3)
    execute(tmp_path, "PRAGMA user_version = 9")
    (finding,) = examine(tmp_path)
    assert finding.mend is None and "later version" in finding.said


def test_without_a_registry_nothing_is_the_matter(tmp_path: Path) -> None:
    assert list(examine(tmp_path)) == []
