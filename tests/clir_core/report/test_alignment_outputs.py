"""The directory of an alignment run: whose it is, that it can be written, and checkpoints under their own names."""

from pathlib import Path

import pytest
from alignment_case import alignment

from clir_core.align.spec import AlignSpec
from clir_core.errors import AlignError, StoreError
from clir_core.report.alignment_outputs import check_free, keep_checkpoint, read_alignment


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A directory with an earlier result."""
    (tmp_path / "align.json").write_text(alignment().model_dump_json(), "utf-8")
    (tmp_path / "checkpoint").mkdir()
    return tmp_path


def test_a_new_directory_is_free_and_other_files_do_no_harm(tmp_path: Path) -> None:
    check_free(tmp_path / "a" / "b", AlignSpec(), "train-1")
    (tmp_path / "notes.txt").touch()
    check_free(tmp_path, AlignSpec(), "train-1")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "notes.txt"}


def test_the_same_run_may_write_there_again(earlier: Path) -> None:
    result = alignment()
    check_free(earlier, result.spec, result.trained.name)
    assert read_alignment(earlier).differences == result.differences


@pytest.mark.parametrize(
    ("changed", "run"), [({"seed": 8}, "align-3f2a9c41d07b"), ({"evaluation": "demo"}, "align-3f2a9c41d07b"), ({}, "x")]
)
def test_another_run_may_not(earlier: Path, changed: dict, run: str) -> None:
    with pytest.raises(AlignError, match=r"belongs to another run, multilingual-e5-.* of 2026-11-22 17:09") as found:
        check_free(earlier, alignment().spec.model_copy(update=changed), run)
    assert str(earlier) in str(found.value) and "set `out` to another directory" in str(found.value)


@pytest.mark.parametrize("name", ["checkpoint", "report.html"])
def test_what_no_run_wrote_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(AlignError, match=f"holds {name} and no align.json"):
        check_free(tmp_path, AlignSpec(), "train-1")


def test_a_file_in_the_way_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StoreError, match=str(tmp_path / "out")):
        check_free(tmp_path / "out", AlignSpec(), "train-1")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    directory = tmp_path / "step-7"
    (directory / "1_Pooling").mkdir(parents=True)
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "1_Pooling" / "config.json").write_text("{}")
    return directory


def test_a_checkpoint_is_kept_under_its_name_and_once(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "checkpoints" / "tuned"
    keep_checkpoint(trained, target)
    (target / "README.md").write_text("a card")
    keep_checkpoint(trained, target)
    assert (target / "model.safetensors").read_bytes() == b"weights"
    assert (target / "1_Pooling" / "config.json").read_text() == "{}"
    assert (target / "README.md").read_text() == "a card"
    assert not (trained / "README.md").exists()
    assert [path.name for path in target.parent.iterdir()] == ["tuned"]


def test_other_weights_under_that_name_stay(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "tuned"
    keep_checkpoint(trained, target)
    (target / "model.safetensors").unlink()
    (target / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(AlignError, match="holds other files"):
        keep_checkpoint(trained, target)
    assert (target / "model.safetensors").read_bytes() == b"others!"
