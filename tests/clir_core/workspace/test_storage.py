"""Whatever a library says when a disk fails, the user reads which place it was and what to do."""

import errno
from pathlib import Path

import polars as pl
import pytest
from safetensors import safe_open

from clir_core.errors import AlignError, DamageError, StoreError
from clir_core.workspace.storage import explained


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_full_disk_is_said_to_be_one(kind: type[Exception], number: int) -> None:
    # as Python says it, and as Rust's libraries do
    error = OSError(number, "no") if kind is OSError else RuntimeError(f"lance: write failed (os error {number})\nat 7")
    with (
        pytest.raises(StoreError, match=r"^/data: no space left; .*`workspace`.* run again") as caught,
        explained("/data"),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_what_libraries_raise_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"neither")
    for read in (pl.read_parquet, lambda path: safe_open(path, "np")):
        with (
            pytest.raises(
                DamageError, match=r"^here: cannot be read or written \(\S.*\); it is damaged, or .*`clir doctor`"
            ) as caught,
            explained("here"),
        ):
            read(tmp_path / "broken")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "check that it exists and is yours"),
        (errno.ENOENT, "check that it exists and is yours, or what `clir doctor` says of the workspace"),
        (errno.EROFS, "have the disk mounted for writing, or set `workspace` to another place"),
        (errno.EIO, "`clir doctor` looks through a workspace"),
    ],
)
def test_only_what_may_be_damaged_is_called_damaged(number: int, advice: str) -> None:
    for error in (OSError(number, "no"), RuntimeError(f"lance: no (os error {number})")):
        with pytest.raises(StoreError, match=f"{advice}$"), explained("/data"):
            raise error


def test_a_message_that_is_there_already_and_a_bug_are_left_alone() -> None:
    for error in (StoreError("the disk at home"), AlignError("not these"), KeyError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, explained("/data"):
            raise error
        assert caught.value is error
