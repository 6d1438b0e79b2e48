"""`python -m deployments.part NAME`: become a part of the service. The supervisor starts each in this way, and again.

What a part before it left behind is ended first: so nothing holds its ports, and no run goes on that no worker knows.
"""

import os
import sys
import time

from clir_core.workspace import processes
from deployments import parts, process
from deployments.parts import Part
from deployments.settings import ROOT, chosen
from flows.server import login


def main() -> None:
    """Exit code 1 where the part cannot start yet; the supervisor tries again."""
    settings = chosen(strict=False)
    part = parts.make(sys.argv[1], settings, login(settings.login))
    mark = os.environ.get(process.MARK, "")
    # the topmost are asked first: a run reports its end, and starts again
    if left := processes.end_kin(process.signs(mark, part.name), part.grace, process.ORPHANS_GRACE):
        print(f"{part.name}: ended {left} processes that the one before left behind", flush=True)
    _await_what_it_needs(part)
    command = part.command()
    os.chdir(ROOT)
    os.execve(command[0], command, {**part.environment, process.MARK: mark, process.PART: part.name})


def _await_what_it_needs(part: Part) -> None:
    begun = time.monotonic()
    while not part.can_start():
        if time.monotonic() - begun > part.patience:
            sys.exit(f"{part.name}: what it needs is not there after {part.patience:.0f} s")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
