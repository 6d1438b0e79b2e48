"""Progress of long work: what is called with units done and units to do, and what makes one for a named bar."""

from collections.abc import Callable

# units done, units to do
Progress = Callable[[int, int], None]
# of what the bar is of: "document", "query", "rank", "train"
Bars = Callable[[str], Progress]


def unseen(_: str) -> Progress:
    """Bars that nobody looks at."""
    return lambda done, total: None
