"""The pivot: the language that an audit holds every other one against. English, unless the spec says otherwise."""

from collections.abc import Collection, Iterable

ENGLISH = "en"


def pivot_first(langs: Iterable[str], pivot: str = ENGLISH, then: Collection[str] = ()) -> tuple[str, ...]:
    """Each language once, as everything here lists them: the pivot, then those in `then`, then the others, by code."""
    return tuple(sorted(set(langs), key=lambda lang: (lang != pivot, lang not in then, lang)))
