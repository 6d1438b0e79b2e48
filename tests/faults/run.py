"""Faults that happen to a real service, and what came of each: `make faults`.

python tests/faults/run.py [--kills 60] [--seed 0] [--docs docs/faults.md]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "studies")]

import kills  # noqa: E402
from scratch import scratch  # noqa: E402
from tables import put, table  # noqa: E402


def rows(found: list[kills.Kill]) -> list[tuple[str, ...]]:
    """A line a victim: injected, survived, lost, done twice, seconds until all was back."""
    lines = []
    for victim in kills.VICTIMS:
        mine = [one for one in found if one.what == victim]
        if mine:
            back = [one.back for one in mine if one.back is not None]
            counts = (len(mine), sum(one.survived for one in mine), *(sum(map(bool, one)) for one in _bad(mine)))
            seconds = f"{statistics.median(back):.0f} ({max(back):.0f})" if back else "never"
            lines.append((victim, *map(str, counts), seconds))
    return lines


def _bad(mine: list[kills.Kill]) -> tuple[list[str], list[str]]:
    return [one.lost for one in mine], [one.twice for one in mine]


def main() -> None:
    """Print each fault as it ends, and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path)
    asked = parser.parse_args()
    begun = time.monotonic()
    found = []
    with tempfile.TemporaryDirectory(prefix="clir-faults-") as workspace, scratch(Path(workspace)) as there:
        for one in kills.run(there, asked.seed, asked.kills):
            found.append(one)
            verdict = "survived" if one.survived else "NOT SURVIVED"
            back = "never" if one.back is None else f"{one.back:.0f} s"
            told = "; ".join(filter(None, (one.ended, one.lost, one.twice)))
            print(f"{len(found):3} {one.what}, {one.phase}: {verdict}, back after {back}. {told}", flush=True)
    header = ("killed (-9)", "injected", "survived", "lost", "done twice", "seconds until all was back: median (most)")
    lines = rows(found)
    if asked.docs:
        put("faults", table(header, lines), asked.docs)
    else:
        print(table(header, lines))
    print(f"{len(found)} faults in {(time.monotonic() - begun) / 60:.0f} minutes, seed {asked.seed}")
    sys.exit(0 if all(one.survived for one in found) else 1)


if __name__ == "__main__":
    main()
