"""What it costs to start: a command that only says something, and an audit that has nothing left to compute.

Every figure is CPU time of a command and of all that it starts, servers and workers included, on Linux.
    python tests/bench/starts.py [--rounds 3] [--only help misspelt history again alone] [--code DIR]
"""

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from registry import facts

from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.workspace import layout

ROOT = Path(__file__).parents[2]
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 120.0  # seconds for what a command leaves behind to end
FIRST = ("audit", "--no-server")  # computes what the second audit finds
COMMANDS = {
    "help": ("--help",),
    "misspelt": ("audit", "--modle", "x"),
    "history": ("history",),
    "again": ("audit",),
    "alone": ("audit", "--no-server"),
}
REFUSED = ("misspelt",)


def cpu(command: Sequence[str], environment: dict[str, str], cwd: Path) -> tuple[float, int]:
    """CPU seconds of a command and of its descendants, orphans too, and its exit code."""
    before = _spent()
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE
    while _has_children():
        if time.monotonic() > until:
            raise TimeoutError(f"{' '.join(command)}: what it started has not ended after {PATIENCE:.0f} s")
        time.sleep(0.05)
    return _spent() - before, done.returncode


def _has_children() -> bool:
    """Whether any are left; those that ended are counted."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--first", nargs="+", default=FIRST, help="the audit before the others; older code has no flag")
    parser.add_argument("--code", type=Path, default=ROOT, help="a checkout of another commit")
    asked = parser.parse_args()
    # whoever loses its parent becomes a child of this process, so that its time is counted
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    clir = (sys.executable, "-m", "flows.cli")
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
        environment |= {"PYTHONPATH": str(asked.code.resolve()), "CLIR_WORKSPACE": str(here / "audits")}
        if {"again", "alone"} & set(asked.only):
            seconds, code = cpu((*clir, *asked.first), environment, here)
            assert code == 0, "the first audit failed"
            print(f"the first audit: {seconds:.1f} s of CPU")
        directory = layout.registry(here / "many")
        directory.mkdir(parents=True)
        FactsFile(directory / NAME).create(facts(1000, 5000))
        for name in asked.only:
            own = environment | ({"CLIR_WORKSPACE": str(here / "many")} if name == "history" else {})
            rounds = [cpu((*clir, *COMMANDS[name]), own, here) for _ in range(asked.rounds)]
            assert all((code != 0) == (name in REFUSED) for _, code in rounds), f"{name}: {rounds}"
            each = ", ".join(f"{seconds:.2f}" for seconds, _ in rounds)
            print(f"clir {' '.join(COMMANDS[name])}: {median(s for s, _ in rounds):.2f} s of CPU ({each})")


if __name__ == "__main__":
    main()
