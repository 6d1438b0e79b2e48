"""Faults that happen to a real service, and what came of each: `make faults`.

python tests/faults/run.py [--kills 60] [--audits 20] [--heap 50] [--nights 30] [--seed 0] [--docs docs/faults.md]
                           [--kept FILE]: a line a kill; a run that is given it again goes on after the last
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "studies")]

import crowds  # noqa: E402
import kills  # noqa: E402
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


def main() -> None:
    """Print each fault as it ends, and the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("kills", 60), ("audits", 20), ("heap", 50), ("nights", 30), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--kept", type=Path)
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clir-faults-") as workspace, scratch(Path(workspace)) as there:
        by_kill = killed(there, asked.seed, asked.kills, asked.kept or Path(workspace) / "kills.jsonl")
        by_crowd = list(crowded(there, asked.audits, asked.heap, asked.nights))
    header = ("killed (-9)", "injected", "survived", "lost", "done twice", "seconds until all was back: median (most)")
    of_kills = table(header, rows_of_kills(by_kill))
    of_crowds = table(
        ("what happened", "injected", "survived", "lost", "done twice"),
        [(f"{one.what}{': ' if one.told else ''}{one.told}", *map(str, one[1:5])) for one in by_crowd],
    )
    for marker, text, any_of_it in (("kills", of_kills, by_kill), ("crowds", of_crowds, by_crowd)):
        if asked.docs and any_of_it:
            put(marker, text, asked.docs)
        else:
            print(text)
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes, seed {asked.seed}")
    well = all(one.survived for one in by_kill) and all(one.is_well for one in by_crowd)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
