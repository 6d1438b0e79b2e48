"""The README's example: it runs as it stands there, is as short as promised, and needs no orchestrator."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 10
UNWANTED = {"prefect", "ray", "lancedb"}


@pytest.fixture(scope="module")
def example() -> str:
    block = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert block, "README.md has no example in Python"
    return block[1]


def test_the_example_has_ten_lines(example: str) -> None:
    assert len([line for line in example.splitlines() if line.strip()]) <= MOST_LINES


def test_the_example_runs_without_prefect_ray_and_lancedb(
    example: str, bundled_checkpoint: Path, tmp_path: Path
) -> None:
    models = tmp_path / ".clir" / "models"
    models.mkdir(parents=True)
    (models / bundled_checkpoint.name).symlink_to(bundled_checkpoint)  # unpacking takes half a minute
    program = f"{example}\nimport sys\nprint(*sys.modules, file=open('modules', 'w'))\n"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in (tmp_path / "modules").read_text("utf-8").split()}
    assert "sentence_transformers" in imported
    assert not UNWANTED & imported
    assert "severe own-language inclination in" in done.stdout
    assert (tmp_path / "e5-small" / "report.html").exists()
