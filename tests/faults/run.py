"""Faults that happen to a real service, and what came of each: `make faults`.

python tests/faults/run.py [--kills 60] [--commits 90] [--audits 20] [--heap 50] [--nights 30] [--databases 3]
    [--clocks 2] [--seed 0] [--docs docs/faults.md] [--kept FILE]

FILE keeps a line a kill; a run that is given it again goes on after the last. A part of 0 is left out.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "studies")]

import commits  # noqa: E402
import crowds  # noqa: E402
import kills  # noqa: E402
import machine  # noqa: E402
from scratch import Scratch, scratch  # noqa: E402
from tables import put, table  # noqa: E402


def killed(there: Scratch, seed: int, count: int, kept: Path) -> list[kills.Kill]:
    """Kill one after another, and say what came of each."""
    found = [kills.Kill(*json.loads(line)) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else []
    for one in kills.run(there, seed, len(found), count):
        found.append(one)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
        verdict = "survived" if one.survived else "NOT SURVIVED"
        back = "never" if one.back is None else f"{one.back:.0f} s"
        told = "; ".join(filter(None, (f"{one.hit} hit", one.ended, one.lost, one.twice)))
        print(f"{len(found):3} {one.what}, {one.phase}: {verdict}, back after {back}. {told}", flush=True)
    return found


def crowded(there: Scratch, audits: int, heap: int, nights: int) -> Iterator[crowds.Crowd]:
    """Many at once, and many nights."""
    asked = (
        (crowds.runs_at_once, audits),
        (crowds.one_checkpoint_many_runs, audits // 4),
        (crowds.a_heap, heap),
        (crowds.a_month, nights),
    )
    for do, count in asked:
        if count:
            found = do(there, count)
            print(*found, flush=True)
            yield found


def stopped(folder: Path, points: int) -> list[crowds.Crowd]:
    """Audits and alignments stopped at their commit points: a line a command and way."""
    found: dict[tuple[str, str], list[commits.Point]] = {}
    for point in commits.run(folder, points):
        found.setdefault((point.command, point.fault), []).append(point)
        print(*point, flush=True)
    return [
        crowds.Crowd(
            f"`clir {command}`: {fault} at a commit point",
            len(points_),
            sum(not point.lost for point in points_),
            sum(bool(point.lost) for point in points_),
            0,
            "; ".join(f"{point.at}: {point.lost}" for point in points_ if point.lost),
        )
        for (command, fault), points_ in found.items()
    ]


def rows_of_kills(found: Sequence[kills.Kill]) -> list[tuple[str, ...]]:
    """A line a victim: injected, survived, lost, done twice, seconds until all was back."""
    lines = []
    for victim in kills.VICTIMS:
        mine = [one for one in found if one.what == victim]
        if not mine:
            continue
        back = [one.back for one in mine if one.back is not None]
        seconds = f"{statistics.median(back):.0f} ({max(back):.0f})" if back else "never"
        counts = (
            len(mine),
            sum(one.survived for one in mine),
            sum(bool(one.lost) for one in mine),
            sum(bool(one.twice) for one in mine),
        )
        lines.append((victim, *map(str, counts), seconds))
    return lines


def asked_for() -> argparse.Namespace:
    """What is asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"kills": 60, "commits": 90, "audits": 20, "heap": 50, "nights": 30, "databases": 3, "clocks": 2, "seed": 0}
    for name, default in parts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--kept", type=Path)
    return parser.parse_args()


def shown(marker: str, text: str, docs: Path | None) -> None:
    """A table in its place."""
    if docs:
        put(marker, text, docs)
    else:
        print(text)


def main() -> None:
    """Print each fault as it ends, and put every part's table in its place as soon as it is done."""
    asked, begun = asked_for(), time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell that put this behind it has it ignored
        signal.signal(number, lambda *_: sys.exit("ended; the service is taken down"))
    by_kill: list[kills.Kill] = []
    by_crowd: dict[str, list[crowds.Crowd]] = {}
    with tempfile.TemporaryDirectory(prefix="clir-faults-") as folder:
        places = {name: Path(folder) / name for name in ("commits", "database", "clock", "service")}
        for place in places.values():
            place.mkdir()
        if asked.commits:
            by_crowd["commits"] = stopped(places["commits"], asked.commits)
        machine_faults = [
            *(machine.databases(places["database"], asked.databases) if asked.databases else ()),
            *(machine.clocks(places["clock"], asked.clocks) if asked.clocks else ()),
        ]
        print(*machine_faults, sep="\n", flush=True)
        if asked.kills or asked.audits or asked.heap or asked.nights:
            with scratch(places["service"]) as there:
                by_kill = killed(there, asked.seed, asked.kills, asked.kept or Path(folder) / "kills.jsonl")
                machine_faults += crowded(there, asked.audits, asked.heap, asked.nights)
        by_crowd["crowds"] = machine_faults
    header = ("killed (-9)", "injected", "survived", "lost", "done twice", "seconds until all was back: median (most)")
    if by_kill:
        shown("kills", table(header, rows_of_kills(by_kill)), asked.docs)
    for marker, found in by_crowd.items():
        if found:
            rows = [(f"{one.what}{': ' if one.told else ''}{one.told}", *map(str, one[1:5])) for one in found]
            shown(marker, table(("what happened", "injected", "survived", "lost", "done twice"), rows), asked.docs)
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes, seed {asked.seed}")
    well = all(one.survived for one in by_kill) and all(one.is_well for part in by_crowd.values() for one in part)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
