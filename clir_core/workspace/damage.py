"""What a look through a workspace finds, and how a damaged thing is put out of the way: nothing is deleted."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

MARK = ".damaged-"


class Finding(NamedTuple):
    """Something that was looked at: what is the matter, what would mend it, and what does so and says what it did."""

    said: str
    would: str = ""  # what a person can do, where nothing here can
    mend: Callable[[], str] | None = None
    is_damage: bool = True


def move_aside(path: Path) -> Path:
    """Rename a file or folder to a name beside it that says so; where it is then."""
    place = aside(path)
    path.rename(place)
    return place


def is_aside(path: Path) -> bool:
    """Whether it is something that was moved aside."""
    return MARK in path.name


def aside(path: Path) -> Path:
    """A name beside this path that nothing has yet: NAME.damaged-DATE."""
    moment = f"{path.name}{MARK}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    places = (path.with_name(f"{moment}-{number}" if number else moment) for number in count())
    return next(place for place in places if not place.exists())
