"""A table stands straight, loses no word, and is no wider than it may be."""

from unicodedata import east_asian_width

from hypothesis import given
from hypothesis import strategies as st

from flows.table import LEAST, drawn

WORDS = st.lists(st.text("abz é語-/", min_size=1, max_size=30).map(str.strip), max_size=12).map(" ".join)
ROWS = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(WORDS, min_size=n, max_size=n), min_size=1, max_size=5))


def columns(line: str) -> int:
    return sum(2 if east_asian_width(letter) == "W" else 1 for letter in line)


@given(ROWS, st.integers(60, 120))
def test_every_line_is_as_wide_as_the_others_and_every_letter_is_there(rows: list[list[str]], width: int) -> None:
    head, *rest = rows
    title, *lines = drawn("title", head, rest, width).splitlines()
    assert title == "title" and len({columns(line) for line in lines}) == 1
    assert columns(lines[0]) <= max(width, 4 * (LEAST + 3) + 1)
    shown = sorted("".join(line for line in lines if line.startswith("│")).replace("│", "").replace(" ", ""))
    wanted = sorted("".join("".join(row) for row in (rows if any(head) else rest)).replace(" ", ""))
    assert shown == wanted


def test_a_table_reads_as_its_rows() -> None:
    told = drawn("audits", ["name", "why"], [["one", "no space\nleft"], ["two", "語"]], 40)
    assert told.splitlines() == [
        "audits",
        "┌──────┬───────────────┐",
        "│ name │ why           │",
        "├──────┼───────────────┤",
        "│ one  │ no space left │",
        "│ two  │ 語            │",
        "└──────┴───────────────┘",
    ]
    assert drawn("", ["", ""], [["a", "b"]], 40).splitlines()[1:] == ["┌───┬───┐", "│ a │ b │", "└───┴───┘"]
