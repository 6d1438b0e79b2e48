"""Tables for a terminal: as wide as their cells, which fold where it is narrower. A thousand rows cost milliseconds."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from unicodedata import combining, east_asian_width

from clir_core.shown import on_terminal

LEAST = 8  # a column is made no narrower: its words would stand letter by letter


def drawn(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """The table under its title; without a head where that is empty."""
    title, head, rows = on_terminal(title), [*map(on_terminal, head)], [[*map(on_terminal, row)] for row in rows]
    widths = _widths([head, *rows], width)
    rule = ["─" * (wide + 2) for wide in widths]
    lines = [title, f"┌{'┬'.join(rule)}┐"]
    if any(head):
        lines += [*_row(head, widths), f"├{'┼'.join(rule)}┤"]
    for row in rows:
        lines += _row(row, widths)
    return "\n".join([*lines, f"└{'┴'.join(rule)}┘"])


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    room = width - 3 * len(widths) - 1
    while sum(widths) > room and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    folded = [_folded(cell, wide) for cell, wide in zip(cells, widths, strict=True)]
    for pieces in zip_longest(*folded, fillvalue=""):
        padded = [piece + " " * (wide - _width(piece)) for piece, wide in zip(pieces, widths, strict=True)]
        yield f"│ {' │ '.join(padded)} │"


def _folded(cell: str, wide: int) -> list[str]:
    if _width(cell) <= wide and "\n" not in cell:
        return [cell]
    letters = wide if cell.isascii() else max(1, wide // 2)  # which may all be wide ones
    return textwrap.wrap(cell, letters, break_on_hyphens=False)


def _width(text: str) -> int:
    """Columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)
