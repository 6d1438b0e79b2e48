"""What a service stands on: its database is killed and comes back, its clock jumps a day, under a run each time."""

import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres_case
from crowds import Crowd, counted
from scratch import Scratch, scratch
from service_case import until

SECONDS_AWAY = (3, 30, 90)
DAY = 86400
SECONDS_TO_START = 300


def databases(folder: Path, count: int) -> Iterator[Crowd]:
    """PostgreSQL is killed (-9) under as many audits, and is away for a moment, half a minute, a minute and a half."""
    with postgres_case.serve() as database, scratch(folder, DATABASE_URL=database.url) as there:
        for at in range(count):
            away = SECONDS_AWAY[at % len(SECONDS_AWAY)]

            def restart(away: int = away) -> None:
                database.stop(signal.SIGKILL)
                time.sleep(away)
                database.start()

            yield _under_an_audit(there, f"PostgreSQL killed (-9), away for {away} s", 900_000 + at, restart)


def clocks(folder: Path, count: int) -> Iterator[Crowd]:
    """The clock jumps a day, forwards and back in turn, under as many audits."""
    with _clock(folder) as (library, set_to), scratch(folder, LD_PRELOAD=str(library)) as there:
        for at in range(count):
            is_ahead = at % 2 == 0
            what = f"clock jumps a day {'ahead' if is_ahead else 'back'}"
            yield _under_an_audit(there, what, 950_000 + at, lambda to=is_ahead * DAY: set_to(to))  # type: ignore[misc]


def _under_an_audit(there: Scratch, what: str, seed: int, fault: Callable[[], None]) -> Crowd:
    model = there.copy(seed)
    run = there.audit(model)
    until(lambda: there.service.states(run)[-1] == "Running", SECONDS_TO_START)
    fault()
    return counted(there, what, [model.name], [run])


@contextmanager
def _clock(folder: Path) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A library that moves the clock of who preloads it, and what sets by how many seconds."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    with library.with_name("clock.so.seconds").open("wb", buffering=0) as seconds:

        def set_to(value: int) -> None:
            seconds.seek(0)
            seconds.write(struct.pack("<q", value))

        set_to(0)
        yield library, set_to
