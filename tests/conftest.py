"""What several tests need: the data that lies outside the repository."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def xquad_dir() -> Path:
    """XQuAD's folder: CLIR_XQUAD, or shared/data/xquad beside the repository."""
    directory = Path(os.environ.get("CLIR_XQUAD", _SHARED / "xquad"))
    if not (directory / "xquad.en.json").exists():
        pytest.skip(f"XQuAD is not at {directory}; set CLIR_XQUAD to the folder that holds xquad.en.json")
    return directory
