"""A look through a workspace: what is damaged, missing or left over, and what mends it. Deletes no result."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from clir_core.registry import repair
from clir_core.workspace.damage import Finding


def examine(workspace: Path) -> Iterator[Finding]:
    """Everything that is the matter, the registry first: what is found later may follow from it.

    Whoever mends a finding does so before asking for the next.
    """
    yield from repair.examine(workspace)
    yield _free(workspace)


def _free(workspace: Path) -> Finding:
    free = shutil.disk_usage(workspace).free / 2**30
    return Finding(f"{workspace.resolve()}: {free:.1f} GiB are free", is_damage=False)
