"""What is read of a file without SQLite is what SQLite wrote, and of a damaged one all that is whole."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_core.registry.salvage import readable_rows


def written(path: Path, bodies: list[str], page: int = 4096) -> list[tuple[int, str, str]]:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("CREATE TABLE facts (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)")
        connection.executemany("INSERT INTO facts (kind, body) VALUES ('audits', ?)", [(body,) for body in bodies])
        rows = connection.execute("SELECT seq, kind, body FROM facts ORDER BY seq").fetchall()
    connection.close()
    return rows


@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from("aé語")), max_size=40), st.sampled_from([512, 4096]))
def test_of_a_whole_file_it_reads_what_sqlite_reads(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[int, str]], page: int
) -> None:
    path = tmp_path_factory.mktemp("salvage") / "facts"
    rows = written(path, [letter * length for length, letter in lengths], page)
    assert readable_rows(path) == rows


def test_of_a_damaged_page_only_its_own_rows_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "facts"
    rows = written(path, [f"{number:04}" * 300 for number in range(200)])
    whole = path.read_bytes()
    for page in range(len(whole) // 4096):
        for junk in (b"\0" * 4096, b"\xff" * 4096, bytes(range(256)) * 16):
            path.write_bytes(whole[: page * 4096] + junk + whole[(page + 1) * 4096 :])
            found = readable_rows(path)
            assert set(found) <= set(rows) and len(found) >= len(rows) - 4


def test_a_file_that_was_cut_off_gives_what_is_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "facts"
    rows = written(path, [f"{number:04}" * 300 for number in range(200)])
    whole = path.read_bytes()
    counts = []
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        found = readable_rows(path)
        assert set(found) <= set(rows)
        counts.append(len(found))
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] >= 197 and counts[2] > 90


@given(st.binary(max_size=9000))
def test_of_anything_else_it_reads_nothing_and_raises_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("salvage") / "facts"
    path.write_bytes(content)
    assert readable_rows(path) == []
    path.write_bytes(content + b"\x0d\0\0\0\xff" + content)
    readable_rows(path)
