"""A look at a registry's file, and what can be saved of a damaged one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from clir_core.errors import DamageError, StoreError
from clir_core.registry.facts import Fact
from clir_core.registry.facts_file import NAME, FactsFile, Row
from clir_core.registry.salvage import readable_rows
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_file
from clir_core.workspace.damage import Finding, aside
from clir_core.workspace.locks import locked


def examine(workspace: Path) -> Iterator[Finding]:
    """What is the matter with the facts of a workspace, if there are any."""
    directory = layout.registry(workspace)
    file = FactsFile(directory / NAME)
    if not file.exists():
        return
    try:
        file.check()
    except DamageError as error:
        saved, of = _saved(file)
        yield Finding(
            str(error),
            f"carry over {len(saved)} of at least {of} facts, which can be read; decisions by hand may be lost",
            lambda: repair(directory),
        )
    except StoreError as error:
        yield Finding(str(error))


def repair(directory: Path) -> str:
    """Carry what can be read over into a new file, and keep the damaged one beside it; says how it went."""
    with locked(directory / layout.LOCK):
        file = FactsFile(directory / NAME)
        facts, of = _saved(file)
        kept = aside(file.path)
        # a copy: a registry that is not there for a moment is one that begins anew
        write_file(kept, lambda scratch: scratch.write_bytes(file.path.read_bytes()))
        file.create(facts)
    return (
        f"{file.path}: carried over {len(facts)} of at least {of} facts; the damaged file is kept as {kept.name}. What "
        "is lost of audits and alignments enters itself when they are asked for again; decisions by hand do not: look "
        "through `clir history`"
    )


def _saved(file: FactsFile) -> tuple[list[Fact], int]:
    """The facts that can be read, and how many there were at least."""
    rows = readable_rows(file.path)
    return list(_facts(file, rows)), max((number for number, _, _ in rows), default=0)


def _facts(file: FactsFile, rows: Sequence[Row]) -> Iterator[Fact]:
    for row in rows:
        try:
            yield file.fact(row)
        except DamageError:
            continue
