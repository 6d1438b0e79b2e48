"""Hashes that are kept: never another than the file's, no byte read twice, and nothing lost without the place for them.

Files made here changed a moment ago, and only the kernel sets when a file's inode changed. So the tests move the clock.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BufferedReader
from pathlib import Path

import pytest
from checkpoint_files import FOLDERS, LAYERS, SHARDS, Files, write

from clir_core.errors import ModelError
from clir_core.model import hashes
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, check_unchanged, resolve
from clir_core.model.hashes import hashes_of
from clir_core.workspace.layout import HASHES

SECOND = 1_000_000_000
now = time.time_ns


class Read:
    """Bytes that were hashed."""

    def __init__(self) -> None:
        self.bytes = 0

    def since(self) -> int:
        """Those since the last question."""
        found, self.bytes = self.bytes, 0
        return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    found, digest = Read(), hashlib.file_digest

    def counted(stream: BufferedReader, name: str) -> "hashlib._Hash":
        found.bytes += os.fstat(stream.fileno()).st_size
        return digest(stream, name)

    of_json = hashes._of_json

    def counted_json(data: bytes) -> str:
        found.bytes += len(data)
        return of_json(data)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    monkeypatch.setattr(hashes, "_of_json", counted_json)
    return found


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock by so many seconds. A minute has passed since the test began."""

    def move(seconds: float) -> None:
        monkeypatch.setattr(hashes.time, "time_ns", lambda: now() + int(seconds * SECOND))

    move(60)
    return move


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "workspace" / "models"


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def put_back(file: Path, data: bytes) -> None:
    """Other bytes of the same number in the same file, whose time is then put back."""
    before = file.stat()
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


# a checkpoint, as an audit meets it


def load(path: Path, cache: Path, dtype: str = "float32") -> Checkpoint:
    return resolve(str(path), EncodingSpec(), cache, dtype)


@pytest.mark.parametrize("files", [LAYERS, FOLDERS, SHARDS], ids=["layers", "folders", "shards"])
def test_an_audit_reads_every_byte_once_and_the_next_audit_none(
    files: Files, tmp_path: Path, cache: Path, read: Read
) -> None:
    path = write(tmp_path / "model", files)
    found = load(path, cache, "bfloat16")
    load(path, cache)
    check_unchanged(found, cache)
    assert read.since() == sum(map(len, files.values()))
    assert load(path, cache, "bfloat16") == found
    check_unchanged(found, cache)
    assert read.since() == 0


def test_a_checkpoint_in_the_hubs_cache_is_known_by_the_files_it_links_to(
    tmp_path: Path, cache: Path, read: Read
) -> None:
    blobs = write(tmp_path / "blobs", LAYERS)
    for revision in ("one", "two"):
        for name in LAYERS:
            link = tmp_path / "snapshots" / revision / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blobs / name)
    one, two = (load(tmp_path / "snapshots" / revision, cache) for revision in ("one", "two"))
    assert one.digest == two.digest == load(blobs, cache).digest
    assert read.since() == sum(map(len, LAYERS.values()))
    other = tmp_path / "other.safetensors"
    other.write_bytes(SHARDS["model-00002-of-00002.safetensors"])
    weights = tmp_path / "snapshots" / "two" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(other)
    assert load(tmp_path / "snapshots" / "two", cache).digest != one.digest
    assert read.since() == len(other.read_bytes())


def test_what_is_there_when_the_audit_ends_is_compared_with_what_was_there(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "model", LAYERS)
    found = load(path, cache)
    put_back(path / "model.safetensors", SHARDS["model-00002-of-00002.safetensors"])
    with pytest.raises(ModelError, match="model: changed"):
        check_unchanged(found, cache)


# a file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    return path


def grown(file: Path) -> None:
    file.write_bytes(b"one and more")


def changed_with_size_and_time_put_back(file: Path) -> None:
    put_back(file, b"two")


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"two")
    shutil.copystat(file, other)
    other.replace(file)


@pytest.mark.parametrize("change", [grown, changed_with_size_and_time_put_back, replaced])
def test_a_changed_file_is_read_again(change: Callable[[Path], None], file: Path, cache: Path, read: Read) -> None:
    assert hashes_of([file, file], cache) == [sha256(file)] * 2 and read.since() == 3
    change(file)
    assert hashes_of([file], cache) == [sha256(file)]
    assert read.since() == len(file.read_bytes())
    assert hashes_of([file], cache) == [sha256(file)] and read.since() == 0


@pytest.mark.parametrize(("age", "bytes_read"), [(0, 3), (1.9, 3), (2.5, 0), (-3600, 3)])
def test_a_file_that_changed_just_now_may_change_unseen_so_it_is_read_again(
    age: float, bytes_read: int, file: Path, cache: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = file.stat().st_ctime_ns
    monkeypatch.setattr(hashes.time, "time_ns", lambda: changed + int(age * SECOND))
    hashes_of([file], cache)
    read.since()
    hashes_of([file], cache)
    assert read.since() == bytes_read


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.file_digest

    def slow(stream: BufferedReader, name: str) -> "hashlib._Hash":
        found = digest(stream, name)
        put_back(file, b"two")
        return found

    monkeypatch.setattr(hashlib, "file_digest", slow)
    hashes_of([file], cache)
    monkeypatch.setattr(hashlib, "file_digest", digest)
    assert hashes_of([file], cache) == [sha256(file)]


def test_a_file_is_known_by_whatever_name_the_system_allows(tmp_path: Path, cache: Path, read: Read) -> None:
    file = tmp_path / os.fsdecode(b"\xff's\n.json")
    file.write_bytes(b"one")
    assert hashes_of([file], cache) == hashes_of([file], cache) == [sha256(file)]
    assert read.since() == 3


def test_a_missing_file_is_an_error_and_no_old_hash(file: Path, cache: Path) -> None:
    hashes_of([file], cache)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        hashes_of([file], cache)


# the place


def no_directory(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file")


def a_directory_in_its_place(cache: Path) -> None:
    (cache / HASHES).mkdir(parents=True)


@pytest.mark.parametrize("ruin", [no_directory, a_directory_in_its_place])
def test_without_a_place_every_file_is_read(ruin: Callable[[Path], None], file: Path, cache: Path, read: Read) -> None:
    ruin(cache)
    assert hashes_of([file], cache) == hashes_of([file], cache) == [sha256(file)]
    assert read.since() == 6


def test_nobody_waits_long_for_another_process(
    file: Path, cache: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "PATIENCE", 0.05)
    hashes_of([file], cache)
    with closing(sqlite3.connect(cache / HASHES, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert hashes_of([file], cache) == [sha256(file)]
    assert read.since() == 6
    assert hashes_of([file], cache) == [sha256(file)] and read.since() == 0


def test_a_place_that_can_only_be_read_still_saves(
    file: Path, cache: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes_of([file], cache)
    other = file.with_name("other")
    other.write_bytes(b"two")
    connect = sqlite3.connect
    # the tests may run as root, whom no permission keeps from writing
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"{path.as_uri()}?mode=ro", uri=True, **options)
    )
    read.since()
    assert hashes_of([file, other], cache) == [sha256(file), sha256(other)]
    assert read.since() == 3


def not_a_database(file: Path) -> None:
    file.write_bytes(b"not a database, " * 100)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:6000])


def overwritten_within(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)


def of_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE files (name TEXT)")


@pytest.mark.parametrize("damage", [not_a_database, cut_off, overwritten_within, of_another_program])
def test_a_damaged_file_is_thrown_away_and_made_anew(
    damage: Callable[[Path], None], file: Path, cache: Path, read: Read
) -> None:
    hashes_of([file], cache)
    damage(cache / HASHES)
    assert hashes_of([file], cache) == [sha256(file)]
    read.since()
    assert hashes_of([file], cache) == [sha256(file)]
    assert read.since() == 0


def test_paths_that_are_gone_are_forgotten_now_and_then(
    tmp_path: Path, cache: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "FEWEST", 20)
    stays = tmp_path / "stays"
    stays.write_bytes(b"one")
    hashes_of([stays], cache)
    for night in range(30):
        folder = tmp_path / f"night-{night}"
        folder.mkdir()
        files = [folder / f"{i}" for i in range(10)]
        for file in files:
            file.write_bytes(b"one")
        hashes_of(files, cache)
        shutil.rmtree(folder)
    with sqlite3.connect(cache / HASHES) as connection:
        (count,) = connection.execute("SELECT count(*) FROM contents").fetchone()
    assert count <= 30
    read.since()
    hashes_of([stays], cache)
    assert read.since() == 0


MANY = """
import sys, time
from pathlib import Path
from clir_core.errors import ModelError
from clir_core.model import hashes

now = time.time_ns
hashes.time.time_ns = lambda: now() + 60_000_000_000
folder, cache = map(Path, sys.argv[1:])
files = sorted(folder.iterdir())
print(*hashes.hashes_of(files[:20], cache), *(hashes.hashes_of([file], cache)[0] for file in files[20:]))
"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i:02}").write_bytes(os.urandom(100))
    return sorted(folder.iterdir())


def test_several_processes_may_begin_at_once(files: list[Path], cache: Path, read: Read) -> None:
    cache.mkdir(parents=True)
    (cache / HASHES).write_bytes(b"damaged " * 1000)
    command = [sys.executable, "-c", MANY, str(files[0].parent), str(cache)]
    with ThreadPoolExecutor(4) as pool:
        told = list(
            pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=True).stdout, range(4))
        )
    assert [one.split() for one in told] == [[sha256(file) for file in files]] * 4
    hashes_of(files, cache)
    assert read.since() == 0
