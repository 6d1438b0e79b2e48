"""Holm's correction of several tests (1979). Light: claims need it where no array library is at hand."""

from collections.abc import Sequence

LEVEL = 0.05  # of a family of tests: the chance that any of them is a false alarm


def holm(p: Sequence[float]) -> list[float]:
    """p of several tests, corrected by his step-down: the chance of any false alarm stays below a level."""
    corrected = [0.0] * len(p)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = largest
    return corrected
