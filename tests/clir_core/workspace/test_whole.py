"""A file that is cut off anywhere is told from a whole one, whatever kind it is."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from clir_core.workspace.damage import is_aside, move_aside
from clir_core.workspace.whole import damaged_files


@pytest.fixture(params=["a.parquet", "a.json", "a.safetensors"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "folder" / str(request.param)
    path.parent.mkdir()
    if path.suffix == ".parquet":
        pl.DataFrame({"a": range(1000), "b": ["語"] * 1000}).write_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps({"a": [1, 2]}), "utf-8")
    else:
        save_file({"w": np.ones((8, 8), np.float32), "v": np.ones(3)}, path, {"format": "pt"})
    return path


def test_a_whole_one_is_whole(file: Path) -> None:
    assert list(damaged_files(file.parent)) == list(damaged_files(file)) == []


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_one_that_was_cut_off_is_named(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    ((found, why),) = damaged_files(file.parent)
    assert found == file and why and "\n" not in why


def test_one_of_junk_is_named_until_it_is_aside(file: Path) -> None:
    file.write_bytes(b"\xff" * file.stat().st_size)
    assert [found for found, _ in damaged_files(file.parent)] == [file]
    place = move_aside(file)
    assert is_aside(place) and place.parent == file.parent and not file.exists()
    assert list(damaged_files(file.parent)) == []
    file.touch()
    assert move_aside(file) != place  # and nothing that was moved aside is written over
