"""The rows that can still be read of a damaged facts file, page by page, without SQLite, which refuses the whole.

The format: https://www.sqlite.org/fileformat2.html. A leaf of a table is a page of cells; a row that is longer than a
page goes on in a chain of pages. In a file to which rows are only added, no page holds anything of before.
"""

from collections.abc import Iterator
from pathlib import Path

from clir_core.registry.facts_file import Row

LEAF = 0x0D
HEADER = 100  # bytes before the first page's own
PAGE = 4096
TEXT = 13  # types of a column: this and every second one from here on are text, the longer the higher
MOST = 2**26  # bytes of a row: a length beyond that is none


def readable_rows(path: Path) -> list[Row]:
    """Every row of the table that is whole, by its number."""
    data = path.read_bytes()
    size = _page_size(data)
    rows = {row[0]: row for start in range(0, len(data), size) for row in _leaf(data, start, size)}
    return [rows[number] for number in sorted(rows)]


def _page_size(data: bytes) -> int:
    size = int.from_bytes(data[16:18], "big")
    return size if size in (512, 1024, 2048, 4096, 8192, 16384, 32768) else PAGE


def _leaf(data: bytes, start: int, size: int) -> Iterator[Row]:
    """The rows in a page; none where it is no leaf."""
    head = start + (HEADER if start == 0 else 0)
    if data[head : head + 1] != bytes([LEAF]):
        return
    for number in range(int.from_bytes(data[head + 3 : head + 5], "big")):
        at = head + 8 + 2 * number
        cell = int.from_bytes(data[at : at + 2], "big")
        try:
            row = _row(data, start + cell, size) if 8 <= cell < size else None
        except (IndexError, ValueError):  # cut off, or no text
            continue
        if row:
            yield row


def _row(data: bytes, at: int, size: int) -> Row | None:
    """The row in a cell; None where it is of another table, or none at all."""
    length, at = _number(data, at)
    number, at = _number(data, at)
    payload = _payload(data, at, length, size)
    end, at = _number(payload, 0)
    types = []
    while at < end:
        kind, at = _number(payload, at)
        types.append(kind)
    # the number is the row's key, and no column
    if len(types) != 3 or types[0] != 0 or any(kind < TEXT or kind % 2 == 0 for kind in types[1:]):
        return None
    first, second = ((kind - TEXT) // 2 for kind in types[1:])
    if end + first + second != length:
        return None
    return number, payload[end : end + first].decode(), payload[end + first :].decode()


def _payload(data: bytes, at: int, length: int, size: int) -> bytes:
    """The content of a cell, with what of it lies on other pages. IndexError where some of it is not there."""
    if length > MOST:
        raise IndexError
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    here = length
    if length > most:
        kept = least + (length - least) % (size - 4)
        here = kept if kept <= most else least
    found, at = data[at : at + here], at + here
    following = int.from_bytes(data[at : at + 4], "big") if here < length else 0
    while len(found) < length and following:
        page = (following - 1) * size
        more = data[page + 4 : page + size][: length - len(found)]
        if not more:
            break
        found, following = found + more, int.from_bytes(data[page : page + 4], "big")
    if len(found) != length:
        raise IndexError
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, seven bits in each but the ninth, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
