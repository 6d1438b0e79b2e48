"""What is written appears whole or not at all, is on the disk before it has its name, and leaves nothing beside it."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clir_core.errors import AlignError, StoreError
from clir_core.workspace.atomic import sweep, write_file, write_folder, write_text, write_together

Write = Callable[[Path, str], None]


def fill(folder: Path, text: str) -> None:
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep" / "weights").write_text(text)


WAYS: dict[str, Write] = {
    "text": write_text,
    "file": lambda path, text: write_file(path, lambda scratch: scratch.write_text(text)),
    "folder": lambda path, text: write_folder(path, lambda scratch: fill(scratch, text), replace=True),
    "together": lambda path, text: write_together(path, ["deep"], lambda scratch: fill(scratch, text)),
}
ways = pytest.mark.parametrize("write", WAYS.values(), ids=WAYS.keys())


def content(path: Path) -> list[str]:
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return [file.read_text() for file in files if file.is_file()]


@ways
def test_what_was_there_is_replaced_and_nothing_is_left_beside_it(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "new" / "one"
    for text in ("蜜蜂", "two"):
        write(path, text)
        assert content(path) == [text]
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["text", "file", "together"])
def test_two_at_one_place_do_not_meet(name: str, tmp_path: Path) -> None:
    path = tmp_path / "one"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda turn: WAYS[name](path, str(turn)), range(40)))
    assert len(content(path)) == 1
    assert list(path.parent.iterdir()) == [path]


@ways
def test_a_file_is_on_the_disk_before_it_has_its_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, object]] = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def synced(handle: int) -> None:
        done.append(("sync", os.fstat(handle).st_ino))
        fsync(handle)

    def moved(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def noted(source: Path, target: Path) -> Path:
            done.append(("move", source.stat().st_ino))
            return move(source, target)

        return noted

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", moved(rename))
    monkeypatch.setattr(Path, "replace", moved(replace))
    path = tmp_path / "one"
    write(path, "x")
    (move,) = [at for at, (what, _) in enumerate(done) if what == "move"]
    wanted = [file.stat().st_ino for file in [path, *path.rglob("*")] if file.is_file()]
    assert {("sync", inode) for inode in wanted} <= set(done[:move])
    assert done[move + 1 :] == [("sync", (tmp_path if write is not WAYS["together"] else path).stat().st_ino)]


@ways
def test_a_writer_that_fails_leaves_all_as_it_was(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "one"
    write(path, "before")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk can only be mounted by root")
    try:
        write(path, "before")
        with pytest.raises((StoreError, OSError), match=r"(?i)no space left"):
            write(path, "after" * 100_000)
        assert content(path) == ["before"]
        assert list(tmp_path.iterdir()) == [path]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_what_the_writer_says_itself_is_said(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise AlignError("not these weights")

    for write in (write_file, write_folder):
        with pytest.raises(AlignError, match="not these weights"):
            write(tmp_path / "one", refuse)
    assert not list(tmp_path.iterdir())


def test_of_two_folders_the_first_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_folder(path, lambda scratch: fill(scratch, "first"))
    write_folder(path, lambda scratch: fill(scratch, "second"))
    assert content(path) == ["first"]
    write_folder(path, lambda scratch: fill(scratch, "second"), replace=True)
    assert content(path) == ["second"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_text_is_as_open_as_the_umask_says_unless_it_is_a_secret(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "report", "x")
        write_text(tmp_path / "secret", "x", 0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "report").stat().st_mode & 0o777 == mode
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "taken.json").mkdir()
    for name in ("file/result.json", "taken.json"):
        with pytest.raises(StoreError, match=f"{tmp_path}/{name}: cannot be read or written"):
            write_text(tmp_path / name, "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.json"]


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in ("one", "one-more"):
        program = (
            "import os, signal; from pathlib import Path; from clir_core.workspace.atomic import write_folder\n"
            f"write_folder(Path({str(tmp_path / name)!r}), lambda _: os.kill(os.getpid(), signal.SIGKILL))"
        )
        assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path / "one")
    assert [path.name.split("~")[0] for path in tmp_path.iterdir()] == [".one-more"]
