"""A registry of before: its facts in three LanceDB tables, which are read once and stay where they are."""

from pathlib import Path

from clir_core.registry.facts import Fact
from clir_core.registry.facts_file import KINDS
from clir_core.workspace.storage import explained


def has_lance_tables(directory: Path) -> bool:
    """Whether a registry of before lies here."""
    return any(_table(directory, kind).exists() for kind in KINDS)


def read_lance_tables(directory: Path) -> list[Fact]:
    """All its facts, oldest first."""
    import lancedb

    facts: list[Fact] = []
    with explained(directory):
        for name, kind in KINDS.items():
            if _table(directory, name).exists():
                rows = lancedb.connect(directory).open_table(name).search().to_arrow().to_pylist()
                facts += map(kind.model_validate, rows)
    return sorted(facts, key=lambda fact: fact.at)


def _table(directory: Path, kind: str) -> Path:
    return directory / f"{kind}.lance"
