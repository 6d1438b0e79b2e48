"""The facts file is whole or says what it lacks, and what is written it gives back as it was."""

import os
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clir_core.errors import DamageError, StoreError
from clir_core.registry.facts import Audited, Decided, Fact, Found
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.registry import Registry

AT = datetime(2026, 3, 4, 15, 9, 26, 535897, tzinfo=UTC)
FACTS: tuple[Fact, ...] = (
    Found(checkpoint="a", at=AT, name="ä'\"\\\n語", ref="/m", family="e5", source="s", parent="b", formerly="c"),
    Audited(checkpoint="a", at=AT, asked="q", corpus="demo", outcome="measured", out=Path("/o"), figures={"x": 0.1}),
    Audited(checkpoint="a", at=AT, asked="q", corpus="demo", outcome="failed", reason="no space"),
    Decided(checkpoint="a", at=AT, status="promoted", reason="", audit_after=Path("/o")),
)


@pytest.fixture
def file(tmp_path: Path) -> FactsFile:
    file = FactsFile(tmp_path / "a place % with # signs?" / NAME)
    file.path.parent.mkdir()
    file.create(FACTS[:1])
    return file


def facts(file: FactsFile) -> list[Fact]:
    return [file.fact(row) for row in file.rows(1)]


def test_facts_come_back_as_they_were_in_their_order(file: FactsFile) -> None:
    for fact in FACTS[1:]:
        file.append(fact)
    assert tuple(facts(file)) == FACTS
    assert [number for number, _, _ in file.rows(3)] == [3, 4]
    assert [one.name for one in file.path.parent.iterdir()] == [NAME]


@pytest.mark.parametrize("what", ["empty", "cut off", "something else", "overwritten inside"])
def test_a_damaged_file_is_named_and_says_what_to_do(file: FactsFile, what: str) -> None:
    for _ in range(100):
        file.append(FACTS[0])
    content = file.path.read_bytes()
    half = len(content) // 2
    damaged = {
        "empty": b"", "cut off": content[:half], "something else": b"no database" * 999,
        "overwritten inside": content[:4096] + b"\xff" * half,
    }  # fmt: skip
    file.path.write_bytes(damaged[what])
    with pytest.raises(StoreError, match=rf"{NAME}: is damaged \(.*\); `clir doctor` says what can be read of it"):
        file.rows(1)


def test_a_row_that_holds_no_fact_is_named(file: FactsFile) -> None:
    with sqlite3.connect(file.path) as connection:
        connection.execute("INSERT INTO facts (kind, body) VALUES ('statuses', '{}'), ('rumours', '{}')")
    connection.close()
    for row in file.rows(2):
        with pytest.raises(StoreError, match=rf"{NAME}: is damaged \(its row {row[0]} holds no fact\)"):
            file.fact(row)


@pytest.mark.parametrize("lost", [1, 3])
def test_a_row_that_is_missing_is_named(tmp_path: Path, lost: int) -> None:
    registry = Registry(tmp_path)
    file = FactsFile(registry.directory / NAME)
    file.path.parent.mkdir()
    file.create(FACTS)
    file.check()
    with sqlite3.connect(file.path) as connection:
        connection.execute("DELETE FROM facts WHERE seq = ?", (lost,))
    connection.close()
    for look in (file.check, registry.entries):
        with pytest.raises(DamageError, match=rf"is damaged \(its row {lost} is missing\)"):
            look()


def test_a_file_of_a_later_version_is_not_touched(file: FactsFile) -> None:
    with sqlite3.connect(file.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    for touch in (lambda: file.rows(1), lambda: file.append(FACTS[0])):
        with pytest.raises(StoreError, match="written by a later version of clir-audit; update this one"):
            touch()


def test_a_full_disk_says_so(file: FactsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    big = FACTS[0].model_copy(update={"name": "x" * 10_000})
    with pytest.raises(StoreError, match=rf"{NAME}: no space left; free some"):
        file.append(big)
    assert facts(file) == [FACTS[0]]


def test_a_file_that_another_process_holds_is_waited_for_and_then_named(
    file: FactsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clir_core.registry.facts_file.PATIENCE", 0.05)
    holder = sqlite3.connect(file.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"in use by another process for 0.05 s"):
        file.rows(1)
    holder.close()
    assert facts(file) == [FACTS[0]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_can_be_read(file: FactsFile) -> None:
    file.path.chmod(stat.S_IRUSR)
    assert facts(file) == [FACTS[0]]
    with pytest.raises(StoreError, match="cannot be read or written"):
        file.append(FACTS[0])
