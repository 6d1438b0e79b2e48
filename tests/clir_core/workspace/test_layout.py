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


def quoted(tree: ast.AST) -> set[str]:
    """Every string in a file's code, docstrings left out."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts)
    return {node.value for node in constants if isinstance(node.value, str)}


def joined(tree: ast.AST) -> set[str]:
    """Every string beside a `/`, so a part of a path. A folder's name is an ordinary word elsewhere."""
    joins = (node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    sides = (side for node in joins for side in (node.left, node.right) if isinstance(side, ast.Constant))
    return {side.value for side in sides if isinstance(side.value, str)}


def written_out(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return (quoted(tree) & {*FILES}) | (joined(tree) & {*FOLDERS})


@pytest.mark.parametrize("layer", LAYERS)
def test_a_name_is_written_out_in_one_file(layer: str) -> None:
    owner = Path(layout.__file__)
    again = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / layer).rglob("*.py")
        if path != owner
        for name in written_out(path)
    }
    assert not again


def test_the_owner_itself_is_seen() -> None:
    assert written_out(Path(layout.__file__)) == {*FILES, *FOLDERS}


def test_a_workspace_holds_all_of_it_side_by_side(tmp_path: Path) -> None:
    named = {layout.job(tmp_path, "embed-1"), layout.proof(tmp_path, "0" * 64)}
    others = {"Path", "job", "proof"}
    places = [value(tmp_path) for name, value in vars(layout).items() if callable(value) and name not in others]
    assert len(places) == len(set(places)) >= 11
    assert all(tmp_path in place.parents for place in (*places, *named))
