"""What coreutils' own sha256sum says of a folder is what we say of it."""

import subprocess
from pathlib import Path

import pytest

from clir_core.workspace.layout import LOCK, SUMS
from clir_core.workspace.sums import changed_files, write_sums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.json", "inside/b c.parquet", "inside/語.html", LOCK):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, "utf-8")
    write_sums(tmp_path)
    return tmp_path


def test_sha256sum_reads_the_list(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == 3, done.stderr
    assert list(changed_files(folder / SUMS)) == []


def test_what_changed_is_named_and_what_went_is_not(folder: Path) -> None:
    (folder / "inside" / "語.html").write_text("another", "utf-8")
    (folder / "a.json").unlink()
    assert [file.name for file, _ in changed_files(folder / SUMS)] == ["語.html"]


def test_a_list_that_is_none_says_so(folder: Path) -> None:
    (folder / SUMS).write_text("nothing", "utf-8")
    with pytest.raises(ValueError, match="not enough values"):
        list(changed_files(folder / SUMS))
