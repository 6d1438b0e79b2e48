"""What holds wherever a run is refused: the message helps, and the files that were there stay as they were."""

import hashlib
from pathlib import Path

Snapshot = dict[str, str]


def snapshot(directory: Path) -> Snapshot:
    """Every file below a directory with its hash."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def says(message: str, *words: object) -> None:
    """The message has every one of these, none of Python's own noise, and is of a readable length."""
    assert [str(word) for word in words if str(word) not in message] == [], message
    assert "Traceback" not in message and len(message) < 1000
