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
        self._logger = get_run_logger()
        self._artifact = cast(UUID, create_progress_artifact(progress=0.0, key=key, description=doing))

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._told < SECONDS_BETWEEN:
            return
        self._told = now
        spent = now - self._started
        left = spent / done * (total - done) if done else float("nan")
        self._logger.info(
            "%s: %s of %s, %.0f s spent, %.0f s left", self._doing, f"{done:,}", f"{total:,}", spent, left
        )
        update_progress_artifact(self._artifact, progress=100.0 * done / max(1, total))
