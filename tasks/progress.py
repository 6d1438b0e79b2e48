"""Progress of long work: a line in the log and a bar in the Prefect UI, every few seconds."""

import time
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

SECONDS_BETWEEN = 5.0


class Progress:
    """Call it with the units done and the units to do."""

    def __init__(self, doing: str, key: str) -> None:
        self._doing, self._key = doing, key
        self._started = self._told = time.monotonic()
        self._ended = False
        self._logger = get_run_logger()
        self._artifact = cast(UUID, create_progress_artifact(progress=0.0, key=key, description=doing))

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told < SECONDS_BETWEEN and (done < total or self._ended):
            return
        self._told, self._ended = now, done >= total
        spent = now - self._started
        # nothing is known of the rest before the first unit, nor where there are none
        amount = f"{done:,} of {total:,}, " if total else ""
        left = f", {spent / done * (total - done):.0f} s left" if done else ""
        self._logger.info("%s: %s%.0f s spent%s", self._doing, amount, spent, left)
        update_progress_artifact(self._artifact, progress=100.0 * done / total if total else 100.0)
