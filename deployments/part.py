"""`python -m deployments.part NAME`: become a part of the service. The supervisor starts each in this way, and again.

What a part before it left behind is ended first: so nothing holds its ports, and no run goes on that no worker knows.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clir_core.workspace import processes
from clir_core.workspace.deaths import deaths
from deployments import parts, process, supervisor
from deployments.settings import ROOT, chosen
from flows.server import login

OFTEN, WINDOW = 3, timedelta(minutes=2)
SECONDS_OF_REST = 20.0


def main() -> None:
    """Wait until the part can start, and become it."""
    supervisor.own_time_zone()
    settings = chosen(strict=False)
    part = parts.make(sys.argv[1], settings, login(settings.login))
    mark = os.environ.get(process.MARK, "")
    # the topmost are asked first: a run reports its end, and starts again
    if left := processes.end_kin(process.signs(mark, part.name), part.grace, process.ORPHANS_GRACE):
        print(f"{part.name}: ended {left} processes that the one before left behind", flush=True)
    _rest_after_deaths(settings.home, part.name)
    while not part.can_start():
        time.sleep(0.5)
    command = part.command()
    os.chdir(ROOT)
    os.execve(command[0], command, {**part.environment, process.MARK: mark, process.PART: part.name})


def _rest_after_deaths(workspace: Path, name: str) -> None:
    """What dies again and again, as while a database is away, is not started in a tight loop."""
    since = datetime.now(UTC) - WINDOW
    if sum(death.part == name and death.at >= since for death in deaths(workspace)) >= OFTEN:
        time.sleep(SECONDS_OF_REST)


if __name__ == "__main__":
    main()
