"""The registry keeps every checkpoint and status, whoever writes beside it and whenever a writer is killed."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from clir_core.errors import AlignError, SpecError, StoreError
from clir_core.registry import Entry, Registry

START = datetime(2026, 3, 4, 15, 9, tzinfo=UTC)


def entry(name: str = "aligned-e5", **changes: object) -> Entry:
    fields = {
        "name": name, "path": Path("/models") / name, "model_fingerprint": "ab12" + "0" * 60, "base": "bundled:e5",
        "base_fingerprint": "cd" * 32, "align_fingerprint": "ef34" + "1" * 60, "audit_before": Path("/audits/before"),
        "audit_after": Path("/audits/after"), "status": "candidate", "reason": "Thai may have lost 0.012.",
        "created": START,
    }  # fmt: skip
    return Entry(**(fields | changes))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "workspace")


def test_what_is_registered_is_found_again(registry: Registry, tmp_path: Path) -> None:
    assert registry.entries() == ()
    stored = registry.register(entry())
    assert stored.model_copy(update={"history": ()}) == entry()
    again = Registry(tmp_path / "workspace")
    assert again.entries() == (stored,)
    names = ("aligned-e5", "/models/aligned-e5", "/models/../models/aligned-e5/")
    for ref in (*names, "ab12", "AB12", "ab12" + "0" * 60, "ef34"):
        assert again.find(ref) == stored, ref
    # plain JSON, one file a checkpoint, for whoever reads it without us
    (file,) = (tmp_path / "workspace").rglob("*.json")
    assert file.name == "aligned-e5.json"
    assert json.loads(file.read_text("utf-8"))["status"] == "candidate"


def test_checkpoints_are_listed_oldest_first(registry: Registry) -> None:
    for day, name in ((3, "a"), (1, "b"), (2, "c")):
        registry.register(entry(name, created=START + timedelta(days=day)))
    assert [one.name for one in registry.entries()] == ["b", "c", "a"]


def test_a_change_of_status_joins_the_history(registry: Registry) -> None:
    before = datetime.now(UTC)
    registry.register(entry())
    more = Path("/audits/on-more-queries")
    later = START + timedelta(days=1)
    registry.register(entry(status="promoted", reason="Proven on more.", audit_after=more, created=later))
    registry.register(entry(status="rejected", reason="Slow.", created=later))
    found = registry.find("aligned-e5")
    assert (found.status, found.reason, found.created) == ("rejected", "Slow.", START)
    assert [(change.status, change.reason) for change in found.history] == [
        ("candidate", "Thai may have lost 0.012."), ("promoted", "Proven on more."), ("rejected", "Slow."),
    ]  # fmt: skip
    assert [change.audit_after for change in found.history] == [Path("/audits/after"), more, Path("/audits/after")]
    times = [change.at for change in found.history]
    assert before <= times[0] <= times[1] <= times[2] <= datetime.now(UTC)


def test_the_same_said_again_changes_nothing(registry: Registry) -> None:
    first = registry.register(entry())
    (file,) = registry.directory.glob("*.json")
    written = file.stat()
    assert registry.register(entry()) == first
    assert registry.register(first) == first
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_a_caller_cannot_rewrite_the_history(registry: Registry) -> None:
    first = registry.register(entry())
    second = registry.register(first.model_copy(update={"status": "promoted", "history": ()}))
    assert second.history[:1] == first.history and len(second.history) == 2


def test_an_entry_of_another_workspace_brings_its_history(registry: Registry, tmp_path: Path) -> None:
    registry.register(entry())
    known = registry.register(entry(status="promoted"))
    assert Registry(tmp_path / "other").register(known) == known


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"align_fingerprint": "9" * 64}, "belongs to run ef3411111111, not 999999999999; choose another"),
        ({"model_fingerprint": "8" * 64}, "belongs to checkpoint ab1200000000, not 888888888888; choose"),
    ],
)
def test_a_name_of_another_run_is_refused(registry: Registry, changes: dict[str, str], message: str) -> None:
    first = registry.register(entry())
    with pytest.raises(AlignError, match=f"aligned-e5.json: the name 'aligned-e5' {message}"):
        registry.register(entry(status="promoted", **changes))
    assert registry.entries() == (first,)


def test_an_unknown_name_lists_what_is_there(registry: Registry) -> None:
    with pytest.raises(SpecError, match="no checkpoint is called 'e6'; it holds none yet: align a model first"):
        registry.find("e6")
    for i in range(25):
        registry.register(entry(f"run-{i:02}", status="rejected"))
    with pytest.raises(SpecError, match=r"there are run-00 \(ab1200000000, rejected\), .*-19 .*, and 5 more$"):
        registry.find("e6")
    for ref in ("", "../registry/run-00", "ab13"):
        with pytest.raises(SpecError, match="no checkpoint is called"):
            registry.find(ref)


def test_a_prefix_of_two_fingerprints_asks_for_the_name(registry: Registry) -> None:
    registry.register(entry("one"))
    two = registry.register(entry("two", model_fingerprint="ab13" + "0" * 60, align_fingerprint="0" * 64))
    with pytest.raises(SpecError, match=r"'ab1' could be one \(ab1200000000, candidate\), two \(ab.*; write the name"):
        registry.find("ab1")
    assert registry.find("ab13") == two


def test_a_name_comes_before_a_fingerprint_that_begins_like_it(registry: Registry) -> None:
    registry.register(entry("one"))
    named = registry.register(entry("ab12", model_fingerprint="7" * 64))
    assert registry.find("ab12") == named


@pytest.mark.parametrize("name", ["", "../escape", ".hidden", "a/b", "a b", "名"])
def test_a_name_is_one_that_every_file_system_takes(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        entry(name)


def test_a_relative_path_is_kept_as_seen_from_everywhere(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    registry.register(entry(path=Path("models/a"), audit_after=Path("audits/a")))
    monkeypatch.chdir("/")
    found = registry.find("usr/models/a")
    assert (found.path, found.audit_after) == (Path("/usr/models/a"), Path("/usr/audits/a"))


@pytest.mark.parametrize("text", ["", "{", '{"name": "broken"}', "[]", "\x00\xff"])
def test_a_damaged_file_is_named_and_left_as_it_is(registry: Registry, text: str) -> None:
    registry.register(entry())
    broken = registry.directory / "broken.json"
    broken.write_text(text, "latin-1")
    for read in (registry.entries, lambda: registry.register(entry("broken"))):
        with pytest.raises(StoreError, match=r"broken.json: (is no registry entry|cannot be read)"):
            read()
    assert broken.read_text("latin-1") == text


def test_storage_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/registry: cannot be read or written \(.*Not a directory"):
        Registry(tmp_path / "file").register(entry())
    with pytest.raises(StoreError, match="/proc/registry: cannot be read or written"):
        Registry(Path("/proc")).register(entry())


# LanceDB takes seconds to import and is not asked for anything
PROGRAM = """
import sys
from pathlib import Path
from types import ModuleType
sys.modules["lancedb"] = ModuleType("lancedb")
from clir_core.registry import Entry, Registry
registry = Registry(Path(sys.argv[1]))
entry = Entry.model_validate_json(sys.argv[2])
"""

WRITER = """
print("ready", flush=True)
sys.stdin.readline()
for i in range(40):
    status = ("candidate", "rejected")[i % 2]
    registry.register(entry.model_copy(update={"status": status, "reason": f"{sys.argv[3]} {i}"}))
    registry.register(entry.model_copy(update={"name": f"{sys.argv[3]}-{i}"}))
    registry.entries()
"""

KILLED = """
import os, signal
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
registry.register(entry)
"""


def program(code: str, workspace: Path, one: Entry, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM + code, str(workspace), one.model_dump_json(), *more]
    root = Path(__file__).resolve().parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, **pipes)


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Both give one checkpoint 40 statuses and add 40 of their own, and read all of them meanwhile."""
    writers = [program(WRITER, tmp_path, entry(), name) for name in ("left", "right")]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n", writer.stderr and writer.stderr.read()
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, problem = writer.communicate(timeout=60)
        assert writer.returncode == 0, problem
    found = Registry(tmp_path)
    reasons = [change.reason for change in found.find("aligned-e5").history]
    for name in ("left", "right"):
        assert [reason for reason in reasons if reason.startswith(name)] == [f"{name} {i}" for i in range(40)]
    assert len(reasons) == 80
    # they did take turns, else this shows nothing
    assert reasons not in (sorted(reasons), sorted(reasons, reverse=True))
    names = {one.name for one in found.entries()}
    assert names == {"aligned-e5", *(f"{name}-{i}" for name in ("left", "right") for i in range(40))}


def test_a_writer_killed_before_its_file_is_in_place_leaves_the_old_one(registry: Registry, tmp_path: Path) -> None:
    first = registry.register(entry())
    writer = program(KILLED, tmp_path / "workspace", entry(status="promoted", reason="Proven."))
    writer.communicate(timeout=60)
    assert writer.returncode == -9
    assert len(list(registry.directory.iterdir())) == 3  # the lock, the old file, and what was to be the new one
    assert registry.entries() == (first,)
    # and its lock died with it
    after = registry.register(entry(status="rejected", reason="Slow."))
    assert [change.status for change in after.history] == ["candidate", "rejected"]
