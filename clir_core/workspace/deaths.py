"""Parts of a service that ended without being asked, as the supervisor's own log has them, in UTC."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from clir_core.workspace import layout

_EXITED = re.compile(r"^(\S+ \S+),\d+ \w+ exited: (\w+) \((.*); (?:not )?expected\)$", re.MULTILINE)


class Death(NamedTuple):
    """Which part, when, and how: by a signal, or with an exit status."""

    part: str
    at: datetime
    how: str

    def __str__(self) -> str:
        return f"{self.part} died at {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.how}"


def deaths(workspace: Path) -> Iterator[Death]:
    """All that the logs still tell of, oldest first."""
    newest = layout.supervisor_log(workspace)
    # .log.2 is older than .log.1, and that than .log
    for log in sorted(newest.parent.glob(f"{newest.name}*"), reverse=True):
        for when, part, how in _EXITED.findall(log.read_text("utf-8", errors="replace")):
            yield Death(part, datetime.fromisoformat(when).replace(tzinfo=UTC), how)
