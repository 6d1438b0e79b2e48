"""One place says where things lie: nowhere else is a file of a result, or a folder of the workspace, written out."""

import ast
from pathlib import Path

import pytest

from clir_core.workspace import layout

ROOT = Path(__file__).parents[3]
LAYERS = ("clir_core", "tasks", "flows", "deployments")
FILES = sorted({value for value in vars(layout).values() if isinstance(value, str) and Path(value).suffix in (
    ".json", ".html", ".parquet", ".jsonl", ".txt",
)})  # fmt: skip
FOLDERS = ("models", "steps", "alignments", "fetched")


def quoted(path: Path) -> set[str]:
    """Every string in a file's code, docstrings left out."""
    tree = ast.parse(path.read_text("utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts)
    return {node.value for node in constants if isinstance(node.value, str)}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_name_is_written_out_in_one_file(layer: str) -> None:
    owner = Path(layout.__file__)
    again = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / layer).rglob("*.py")
        if path != owner
        for name in quoted(path) & {*FILES, *FOLDERS}
    }
    assert not again


def test_a_workspace_holds_all_of_it_side_by_side(tmp_path: Path) -> None:
    places = [
        value(tmp_path) for name, value in vars(layout).items() if callable(value) and name not in ("Path", "job")
    ]
    assert len(places) == len(set(places)) >= 11
    assert all(tmp_path in place.parents for place in (*places, layout.job(tmp_path, "embed-1")))
