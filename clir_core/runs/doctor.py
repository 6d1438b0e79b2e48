"""A look through a workspace: what is damaged, missing or left over, and what mends it. Deletes no result."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from clir_core.registry import repair
from clir_core.runs import damaged
from clir_core.runs.unknown import unknown
from clir_core.workspace import layout
from clir_core.workspace.damage import Finding, is_aside, move_aside
from clir_core.workspace.leftovers import leftovers
from clir_core.workspace.processes import holders


def examine(workspace: Path) -> Iterator[Finding]:
    """Everything that is the matter, in an order in which what is found later may follow from what was found before.

    Whoever mends a finding does so before asking for the next.
    """
    yield from repair.examine(workspace)
    yield from damaged.tables(workspace)
    yield from damaged.steps(workspace)
    yield from damaged.results(workspace)
    yield from unknown(workspace)
    yield from _prefect(workspace)
    yield from leftovers(workspace)
    yield _free(workspace)


def _prefect(workspace: Path) -> Iterator[Finding]:
    """The history of runs, which Prefect's server keeps."""
    file = layout.prefect(workspace) / "prefect.db"
    if not file.exists() or not (reason := _damage(file)):
        return
    said = f"{file}: Prefect's history of runs is damaged ({reason}); audits, results and the registry are not in it"
    if users := holders(file):
        yield Finding(said, f"end what uses it first (pid {', '.join(map(str, users))}): make down")
        return

    def mend() -> str:
        kept = [move_aside(one) for one in sorted(file.parent.glob(f"{file.name}*")) if not is_aside(one)]
        return f"moved to {', '.join(map(str, kept))}; `make up` begins a new one"

    yield Finding(said, "move it aside: `make up` begins a new one, without the runs of before", mend)


def _damage(file: Path) -> str:
    """What SQLite says of a damaged file; nothing of a whole one."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    except sqlite3.OperationalError as error:
        return "" if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "it is empty" if empty else "" if said == "ok" else " ".join(said.split())


def _free(workspace: Path) -> Finding:
    free = shutil.disk_usage(workspace).free / 2**30
    return Finding(f"{workspace}: {free:.1f} GiB are free", is_damage=False)
