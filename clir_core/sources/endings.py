"""What the name of a file says of its content, and whether that holds: packed files, and those that are no text.

A name ends in its form, and after that in .gz or .zst where it is packed.
"""

from collections.abc import Iterable
from pathlib import Path

PACKED = {".gz": "gzip", ".zst": "zstd"}
_STARTS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_POINTER = b"version https://git-lfs"
_NAMED = 5


def form_of(path: Path) -> str:
    """The ending that says what is inside: .jsonl of corpus.jsonl.gz."""
    return unpacked(path).suffix


def stem_of(path: Path) -> str:
    """The name without the endings: test of test.tsv.gz."""
    return unpacked(path).stem


def unpacked(path: Path) -> Path:
    """The path without .gz or .zst."""
    return path.with_suffix("") if path.suffix in PACKED else path


def misnamed(path: Path) -> str | None:
    """Why a file cannot be what its name says, and what to do, by its first bytes; None where it can. OSError."""
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
    held = next((packing for first, packing in _STARTS.items() if start.startswith(first)), None)
    named = PACKED.get(path.suffix)
    if start.startswith(_POINTER):
        return "is a pointer of Git LFS and not the file itself; fetch that with `git lfs pull`"
    if held and held != named:
        right = next((ending for ending, packing in PACKED.items() if packing == held), None)
        return f"is packed by {held}; " + (f"call it {unpacked(path).name}{right}" if right else "unpack it")
    if named and start and not held:
        return f"is not packed by {named}, as its name says; call it {unpacked(path).name}, or fetch it again"
    return None


def no_text(start: bytes) -> str | None:
    """Why what a file begins with, once unpacked, is no UTF-8 text, and what to do; None where it may be."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        return "is UTF-16, or no text at all; save it as UTF-8"
    return None


def listed(found: Iterable[Path]) -> str:
    """What is there, in words."""
    names = sorted(path.name for path in found)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"it has {', '.join(names[:_NAMED]) or 'none'}{more}"
