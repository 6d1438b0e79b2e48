"""The design's rules about files: imports point downwards only, and every file can be read in one sitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("clir_core", "tasks", "flows")
JOBS = ROOT / "clir_core" / "jobs"
MOST_LINES = 350

FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
named = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or in a function; a relative import by its full name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield ".".join([*package[: len(package) - node.level + 1], *(node.module or "").split(".")]).rstrip(".")
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def forbidden(path: Path) -> set[str]:
    """What a file must not import."""
    layer = path.relative_to(ROOT).parts[0]
    if layer == "flows":
        return set()
    if layer == "tasks":
        return {"flows"}
    return {"flows", "tasks", "prefect", "prefect_ray"} | (set() if JOBS in path.parents else {"ray"})


@named
def test_imports_point_downwards(path: Path) -> None:
    assert not packages(path) & forbidden(path)


@named
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


@named
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    module = ast.parse(path.read_text("utf-8"))
    assert not module.body or ast.get_docstring(module)


def test_there_is_something_to_check() -> None:
    assert ROOT / "clir_core" / "rank" / "outrank.py" in FILES


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import prefect.flows as x", {"prefect"}),
        ("def late():\n    from ray.train import report", {"ray"}),
        ("from ..corpus import Corpus", {"clir_core"}),
        ("from . import store", {"clir_core"}),
        ("import importlib\nimportlib.import_module('flows.audit')", {"importlib", "flows"}),
    ],
)
def test_every_way_to_import_is_seen(
    source: str, found: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clir_core" / "jobs" / "one.py"
    path.parent.mkdir(parents=True)
    path.write_text(source, "utf-8")
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    assert packages(path) == found
