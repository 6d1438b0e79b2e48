"""Many at once, and many nights: everything is done once, and nothing grows that should not."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import kills
from scratch import ENDED, Scratch
from service_case import watch_list

from deployments.scratch import scratch as sockets

SECONDS_TO_END = 3600
SETTLED = 5  # nights, after which nothing may grow any more but what nights leave
MIB = 2**20
MOST_GROWTH = {"MiB": 1.25, "open files": 1.25}
MOST_FILES = 40  # that a night leaves where there is nothing new: its run in Prefect's history, storage of results


class Crowd(NamedTuple):
    """What was asked at once, and what came of it."""

    what: str
    injected: int
    survived: int
    lost: int
    twice: int
    told: str = ""

    @property
    def is_well(self) -> bool:
        """Whether all survived, and nothing was lost or done twice."""
        return self.survived == self.injected and not self.lost and not self.twice


def runs_at_once(scratch: Scratch, count: int) -> Crowd:
    """As many audits at once, of as many checkpoints."""
    models = [scratch.copy(500_000 + at) for at in range(count)]
    runs = [scratch.audit(model) for model in models]
    return counted(scratch, f"{count} audits at once", [model.name for model in models], runs)


def one_checkpoint_many_runs(scratch: Scratch, count: int) -> Crowd:
    """As many audits at once, of one checkpoint."""
    model = scratch.copy(600_000)
    runs = [scratch.audit(model) for _ in range(count)]
    return counted(scratch, f"{count} audits of one checkpoint at once", [model.name], runs)


def a_heap(scratch: Scratch, count: int) -> Crowd:
    """As many checkpoints dropped at once, and two nights that look for them."""
    place = scratch.service.workspace / "heap"
    models = [scratch.copy(700_000 + at, place) for at in range(count)]
    watch = _watch(scratch, "heap", place)
    nights = [scratch.service.start("nightly/audit", watch=str(watch)) for _ in range(2)]
    return counted(scratch, f"{count} checkpoints dropped at once, two nights", [one.name for one in models], nights)


def a_month(scratch: Scratch, nights: int) -> Crowd:
    """As many nights, one new checkpoint in every seventh; what the service holds is measured after each."""
    place = scratch.service.workspace / "month"
    place.mkdir()
    watch, sizes, names, bad = _watch(scratch, "month", place), [], [], []
    for night in range(nights):
        if night % 7 == 0:
            names.append(scratch.copy(800_000 + night, place).name)
        run = scratch.service.start("nightly/audit", watch=str(watch))
        bad += list(_not_completed(scratch, [run]))
        sizes.append(_held(scratch))
    lost = sum(bool(scratch.lost(name)) for name in names)
    twice = sum(bool(scratch.twice(name)) for name in names)
    first, last = sizes[min(SETTLED, nights - 1)], sizes[-1]
    told = "; ".join(f"{what} {first[what]:,} after night {SETTLED + 1}, {last[what]:,} at the end" for what in first)
    grown = any(last[what] > most * first[what] for what, most in MOST_GROWTH.items())
    grown = grown or last["files"] - first["files"] > MOST_FILES * nights
    return Crowd(f"{nights} nights", nights, 0 if grown else nights - len(bad), lost, twice, told)


def _watch(scratch: Scratch, family: str, place: Path) -> Path:
    source = {"kind": "directory", "path": str(place), "settle": 0}
    file = scratch.service.workspace / f"{family}.yaml"
    return watch_list(file, Path(scratch.corpus.removeprefix("parquet:")), {"name": family, "sources": [source]})


def counted(scratch: Scratch, what: str, names: list[str], runs: list[str]) -> Crowd:
    bad = list(_not_completed(scratch, runs))
    lost = [told for name in names if (told := scratch.lost(name))]
    twice = [told for name in names if (told := scratch.twice(name))]
    survived = len(names) - len(lost) if not bad else len(names) - max(len(lost), len(bad))
    return Crowd(what, len(names), survived, len(lost), len(twice), "; ".join([*bad, *lost, *twice]))


def _not_completed(scratch: Scratch, runs: list[str]) -> Iterator[str]:
    deadline = time.monotonic() + SECONDS_TO_END
    for run in runs:
        state = kills.state_of(scratch, run)
        while (state["type"] not in ENDED or not kills.rests(scratch, run)) and time.monotonic() < deadline:
            time.sleep(1)
            state = kills.state_of(scratch, run)
        if state["type"] != "COMPLETED":
            yield f"run {state['name']}: {state['message']}"


def _held(scratch: Scratch) -> dict[str, int]:
    """Memory and open files of all processes of the service, and the files of its workspace and scratch folder."""
    resident = handles = 0
    for pid in scratch.service.kin():
        with suppress(OSError):  # it may have ended
            resident += int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1])
            handles += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    places = (scratch.service.workspace, sockets(scratch.service.settings))
    files = sum(len(names) for place in places for _, _, names in os.walk(place))
    return {"MiB": resident * os.sysconf("SC_PAGE_SIZE") // MIB, "open files": handles, "files": files}
