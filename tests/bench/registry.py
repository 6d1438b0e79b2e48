"""A registry of 1,000 checkpoints and 5,000 facts: what it costs to read it, to show it, and to keep it.

Every figure is CPU time of a process of its own, from its start on, imports included.
    python tests/bench/registry.py [--checkpoints 1000] [--facts 5000] [--rounds 3] [--workspace DIR]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from clir_core.registry.facts import Audited, Decided, Fact, Found
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.registry import Registry
from clir_core.workspace import layout

START = datetime(2026, 1, 1, tzinfo=UTC)
FAMILIES = 10
STATUSES = ("candidate", "promoted", "rejected")
VERDICT = (
    "In pools with English, the Thai document is in the first 10 for 38 of 100 questions, its English version for 89."
)
READ = "from clir_core.registry.registry import Registry; len(Registry(place).entries())"
HISTORY = """
from clir_core.registry.history import of_family
from clir_core.registry.registry import Registry
entries = Registry(place).entries()
[of_family(entries, family).rows() for family in {entry.found.family for entry in entries}]
"""
NIGHT = """
from clir_core.registry.registry import Registry
for entry in Registry(place).entries():
    assert Registry(place).get(entry.checkpoint).audit("q") is None
"""
CLIR = "import sys; sys.argv = ['clir', 'history', '--workspace', str(place)]; from flows.cli import main; main()"


def facts(checkpoints: int, n: int) -> Iterator[Fact]:
    """As a nightly run leaves them: every checkpoint found once, then audited, judged and decided in turn."""
    for i in range(n):
        number, turn = i % checkpoints, i // checkpoints
        known = {"checkpoint": f"{number:064x}", "at": START + timedelta(minutes=i)}
        name = f"step-{number:05}"
        audited = known | {
            "asked": "q" if turn < 3 else "r", "corpus": "xquad:/data/xquad", "verdict": VERDICT,
            "out": f"/service/.clir/audits/{name}-{turn // 3}", "by": "flow run quiet-owl",
            "figures": {"complete@10 X": 0.38, "complete@10 en": 0.89, "mono acc@1": 0.9},
        }  # fmt: skip
        if turn == 0:
            yield Found.model_validate(
                known | {"name": name, "ref": f"/service/incoming/{name}", "family": f"family-{number % FAMILIES}",
                         "source": "incoming"}
            )  # fmt: skip
        elif turn % 3 == 0:
            yield Decided.model_validate(known | {"status": STATUSES[number % 3], "reason": VERDICT, "by": "ann"})
        elif turn % 3 == 1:
            yield Audited.model_validate(audited | {"outcome": "measured"})
        else:
            yield Audited.model_validate(audited | {"outcome": "unchanged", "reason": VERDICT})


def cpu(code: str, place: Path) -> float:
    """CPU seconds of a process that runs this."""
    whole = f"from pathlib import Path; place = Path({str(place)!r})\n{code}\nimport time, sys\n"
    whole += "print(time.process_time(), file=sys.stderr)"
    told = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return float(told.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--facts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="measure the registry in this one instead")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.workspace or Path(scratch)
        if not asked.workspace:
            directory = layout.registry(place)
            directory.mkdir()
            FactsFile(directory / NAME).create(facts(asked.checkpoints, asked.facts))
            began = time.perf_counter()
            for i in range(100):
                Registry(place).add(Decided(checkpoint="0" * 64, status="candidate", reason=f"{i}"))
            print(f"adding a fact: {(time.perf_counter() - began) * 10:.1f} ms each, one by one, safe on the disk")
        files = [file for file in layout.registry(place).rglob("*") if file.is_file()]
        print(f"{len(files)} files, {sum(file.stat().st_size for file in files):,} bytes")
        for what, code in (
            ("imports alone", READ.partition(";")[0]),
            ("all entries", READ),
            ("rows of every family's history", HISTORY),
            ("a look at each checkpoint, as a night takes", NIGHT),
            ("clir history", CLIR),
        ):
            seconds = median(cpu(code, place) for _ in range(asked.rounds))
            print(f"{what}: {seconds:.2f} s of CPU")


if __name__ == "__main__":
    main()
