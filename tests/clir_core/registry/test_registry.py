"""The registry keeps every fact, whoever writes beside it and whenever a writer is killed; today's state follows."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from clir_core.errors import SpecError, StoreError
from clir_core.registry.facts import Audited, Decided, Fact, Found
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.registry import Registry

START = datetime(2026, 3, 4, 15, 9, tzinfo=UTC)
A, B = "ab12" + "0" * 60, "ab13" + "0" * 60


def found(checkpoint: str = A, name: str = "aligned-e5", minutes: int = 0, **changes: object) -> Found:
    fields = {"ref": f"/models/{name}", "family": "e5", "source": "align", "run": "ef34" + "1" * 60}
    at = START + timedelta(minutes=minutes)
    return Found.model_validate({"checkpoint": checkpoint, "name": name, "at": at} | fields | changes)


def decided(status: str, minutes: int = 0, checkpoint: str = A, **changes: object) -> Decided:
    fields = {"checkpoint": checkpoint, "status": status, "reason": "Thai may have lost 0.012."}
    return Decided.model_validate(fields | {"at": START + timedelta(minutes=minutes)} | changes)


def audited(out: Path | None, asked: str = "q1", minutes: int = 0, **changes: object) -> Audited:
    fields = {"checkpoint": A, "asked": asked, "corpus": "demo", "outcome": "measured", "out": out}
    return Audited.model_validate(fields | {"at": START + timedelta(minutes=minutes)} | changes)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "workspace")


def test_an_empty_registry_is_no_error_and_leaves_no_trace(registry: Registry) -> None:
    assert registry.entries() == () and registry.get(A) is None and registry.promoted("e5") is None
    assert not registry.directory.exists()


def test_what_is_registered_is_found_again(registry: Registry, tmp_path: Path) -> None:
    assert registry.add(found())
    (entry,) = Registry(tmp_path / "workspace").entries()
    assert entry.found == found() and entry.since == START
    assert (entry.name, entry.checkpoint, entry.status) == ("aligned-e5", A, None)
    assert registry.get(A) == entry and registry.get(B) is None
    for ref in ("aligned-e5", "/models/aligned-e5", "/models/../models/aligned-e5/", "ab12", "AB12", A, "ef34"):
        assert registry.find(ref) == entry, ref


def test_checkpoints_are_listed_as_they_were_told_whatever_the_clock_said(registry: Registry) -> None:
    for minutes, name in ((3, "a"), (1, "b"), (2, "c")):
        registry.add(found(name * 64, name, minutes))
    assert [one.name for one in registry.entries()] == ["a", "b", "c"]


def test_the_last_place_counts_and_the_first_time(registry: Registry) -> None:
    registry.add(found(ref="/old", source="audit", family="e5-small"))
    registry.add(found(ref="/new", source="incoming", minutes=60))
    (entry,) = registry.entries()
    assert (entry.found.ref, entry.found.family, entry.since) == ("/new", "e5", START)


def test_statuses_follow_one_another(registry: Registry) -> None:
    registry.add(found())
    said = ("candidate", "promoted", "rejected", "promoted")
    for minutes, status in enumerate(said):
        assert registry.add(decided(status, minutes, by="ann", audit_after=Path("/audits/after")))
    (entry,) = registry.entries()
    assert tuple(change.status for change in entry.history) == said and entry.status == "promoted"
    assert {change.audit_after for change in entry.history} == {Path("/audits/after")}


def test_the_same_said_again_writes_nothing(registry: Registry) -> None:
    facts = (found(), decided("candidate"), audited(Path("/audits/a")))
    assert [registry.add(fact) for fact in facts] == [True, True, True]
    before = registry.entries()
    again = datetime(2027, 1, 1, tzinfo=UTC)
    assert [registry.add(fact.model_copy(update={"at": again})) for fact in facts] == [False, False, False]
    # who says it is no news either
    assert not registry.add(facts[1].model_copy(update={"by": "somebody else"}))
    assert registry.entries() == before


def test_an_audit_is_of_a_question_and_has_its_files(registry: Registry, tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()
    (there / "audit.json").write_text("{}")
    registry.add(found())
    registry.add(audited(None, "q1", 0, outcome="failed", reason="no space"))
    registry.add(audited(there, "q1", 1))
    registry.add(audited(gone, "q2", 2))
    (entry,) = registry.entries()
    assert [(one.asked, one.outcome) for one in entry.audits] == [
        ("q1", "failed"),
        ("q1", "measured"),
        ("q2", "measured"),
    ]
    known = entry.audit("q1")
    assert known and known.out == there
    assert entry.audit("q2") is None and entry.audit("q3") is None
    registry.add(audited(there, "q1", 3, outcome="regressed", baseline=B))
    (entry,) = registry.entries()
    known = entry.audit("q1")
    assert known and (known.outcome, known.baseline) == ("regressed", B)


def test_a_family_has_one_promoted_checkpoint_the_last_that_still_is(registry: Registry) -> None:
    for name in ("a", "b", "c"):
        registry.add(found(name * 64, name, family="other" if name == "c" else "e5"))
        registry.add(decided("promoted", ord(name), name * 64))
    newest = registry.promoted("e5")
    assert newest and newest.name == "b"
    registry.add(decided("rejected", 200, "b" * 64))
    newest = registry.promoted("e5")
    assert newest and newest.name == "a"
    assert registry.promoted("nobody") is None


def test_an_unknown_name_lists_what_is_there(registry: Registry) -> None:
    with pytest.raises(SpecError, match="no checkpoint is called 'e6'; it holds none yet: audit or align a model"):
        registry.find("e6")
    for i in range(22):
        registry.add(found(f"{i:02}" * 32, f"run-{i:02}", i))
    registry.add(decided("rejected", checkpoint="00" * 32))
    with pytest.raises(SpecError, match=r"there are run-00 \(000000000000, rejected\), .*run-19 .*, and 2 more$"):
        registry.find("e6")
    for ref in ("", "../registry/run-00", "zz"):
        with pytest.raises(SpecError, match="no checkpoint is called"):
            registry.find(ref)


def test_what_could_be_two_asks_for_more_digits(registry: Registry) -> None:
    registry.add(found(A, "one"))
    registry.add(found(B, "two", 1, run=None))
    with pytest.raises(SpecError, match=r"'ab1' could be one \(ab1200000000\), two \(ab13.*; write the fingerprint"):
        registry.find("ab1")
    assert registry.find("ab13").name == "two"
    registry.add(found("7" * 64, "ab13", 2))
    assert registry.find("ab13").checkpoint == "7" * 64  # a name comes first


def test_a_relative_place_is_kept_as_seen_from_everywhere(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    registry.add(found())
    registry.add(audited(Path("audits/a")))
    monkeypatch.chdir("/")
    assert registry.entries()[0].audits[0].out == Path("/usr/audits/a")


def test_storage_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/registry.*: cannot be read or written \(.*Not a directory"):
        Registry(tmp_path / "file").add(found())
    with pytest.raises(StoreError, match=r"/proc/registry.*: cannot be read or written"):
        Registry(Path("/proc")).add(found())


PROGRAM = """
import sys
from pathlib import Path
from clir_core.registry.facts import Decided, Found
from clir_core.registry.registry import Registry
registry, name = Registry(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
"""

WRITER = """
for i in range(8):
    registry.add(Decided(checkpoint="c", status=("candidate", "rejected")[i % 2], reason=f"{name} {i}"))
    registry.add(Found(checkpoint=f"{name}{i}", name=name, ref="/r", family="f", source="s"))
    registry.add(Found(checkpoint="c", name="both", ref="/r", family="f", source="s"))
    registry.entries()
"""

KILLED = """
from kill_case import deaths
for i, lived in deaths(lambda i: registry.add(Decided(checkpoint="c", status="candidate", reason=f"{i}"))):
    print(i, lived, *[one.reason for one in registry.get("c").history], flush=True)
"""

MADE = """
from kill_case import deaths
for _, lived in deaths(lambda _: registry.add(Found(checkpoint="c", name="c", ref="/c", family="f", source="s"))):
    print(lived, (registry.directory / "facts.sqlite").exists(), len(registry.entries()), flush=True)
"""

# more than fits into SQLite's memory, so that the file is half written and the journal holds what was there
HALF = """
import os, signal, sqlite3
connection = sqlite3.connect(registry.directory / "facts.sqlite", isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE facts SET body = 'half'")
connection.executemany("INSERT INTO facts (kind, body) VALUES ('statuses', ?)", [("x" * 4000,)] * 100)
os.kill(os.getpid(), signal.SIGKILL)
"""


def program(code: str, workspace: Path, name: str) -> "subprocess.Popen[str]":
    here = Path(__file__).resolve()
    root, path = here.parents[3], f"{here.parents[3]}:{here.parent}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", PROGRAM + code, str(workspace), name]
    return subprocess.Popen(command, text=True, cwd=root, env=os.environ | {"PYTHONPATH": path}, **pipes)


def test_two_processes_that_write_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    writers = [program(WRITER, tmp_path, name) for name in ("left", "right")]
    for writer in writers:
        assert writer.stdout and writer.stdout.readline() == "ready\n", writer.stderr and writer.stderr.read()
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, problem = writer.communicate(timeout=60)
        assert writer.returncode == 0, problem
    entries = {one.checkpoint: one for one in Registry(tmp_path).entries()}
    assert set(entries) == {"c", *(f"{name}{i}" for name in ("left", "right") for i in range(8))}
    reasons = [change.reason for change in entries["c"].history]
    for name in ("left", "right"):
        assert [reason for reason in reasons if reason.startswith(name)] == [f"{name} {i}" for i in range(8)]
    rows = FactsFile(tmp_path / "registry" / NAME).rows(1)
    found_c = [body for _, kind, body in rows if kind == "checkpoints" and json.loads(body)["checkpoint"] == "c"]
    assert len(found_c) == 1
    assert sorted(file.name for file in (tmp_path / "registry").iterdir()) == [".lock", NAME]


def test_a_writer_killed_at_any_moment_loses_nothing_that_was_said(registry: Registry, tmp_path: Path) -> None:
    registry.add(found("c"))
    writer = program(KILLED, tmp_path / "workspace", "killed")
    told, problem = writer.communicate("go\n", timeout=120)
    assert writer.returncode == 0, problem
    lines = [line.split() for line in told.splitlines()[1:]]
    assert len(lines) > 20 and [line[1] for line in lines] == ["False"] * (len(lines) - 1) + ["True"]
    # what was there stays, and each one is there or not
    histories = [[], *([int(one) for one in line[2:]] for line in lines)]
    for i, (before, after) in enumerate(pairwise(histories), 1):
        assert after in (before, [*before, i])
    assert [int(one.reason) for one in registry.entries()[0].history] == histories[-1]
    assert histories[-1][-1] == len(lines)


def test_a_first_writer_killed_at_any_moment_leaves_a_registry_or_none(registry: Registry, tmp_path: Path) -> None:
    writer = program(MADE, tmp_path / "workspace", "made")
    told, problem = writer.communicate("go\n", timeout=120)
    assert writer.returncode == 0, problem
    lines = told.splitlines()[1:]
    # no file, an empty registry, one with the fact of a writer that could not say so any more
    assert list(dict.fromkeys(lines))[:2] == ["False False 0", "False True 0"] and lines[-1] == "True True 1"
    assert len(lines) > 20 and len(registry.entries()) == 1


def test_what_a_killed_writer_had_half_written_is_rolled_back(registry: Registry, tmp_path: Path) -> None:
    registry.add(found("c"))
    registry.add(decided("candidate", checkpoint="c"))
    before = registry.entries()
    size = (registry.directory / NAME).stat().st_size
    writer = program(HALF, tmp_path / "workspace", "half")
    writer.communicate("go\n", timeout=60)
    assert writer.returncode == -9
    assert (registry.directory / NAME).stat().st_size > size and (registry.directory / f"{NAME}-journal").exists()
    assert registry.entries() == before
    assert registry.add(decided("rejected", 1, checkpoint="c"))
    assert [one.status for one in registry.entries()[0].history] == ["candidate", "rejected"]


def test_a_registry_reads_what_is_new_and_nothing_twice(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    inner = FactsFile.fact

    def fact(self: FactsFile, row: tuple[int, str, str]) -> Fact:
        read.append(row[0])
        return inner(self, row)

    monkeypatch.setattr(FactsFile, "fact", fact)
    for i in range(5):
        registry.add(found(f"{i}" * 64, f"run-{i}", i))
    FactsFile(registry.directory / NAME).append(found("9" * 64, "another's", 9))
    for again in (registry, Registry(registry.directory.parent)):
        assert [one.name for one in again.entries()][-1] == "another's" and again.get("0" * 64)
    assert read == [1, 2, 3, 4, 5, 6]


def test_a_file_that_comes_into_the_place_of_another_is_read_from_its_beginning(
    registry: Registry, tmp_path: Path
) -> None:
    file = registry.directory / NAME
    registry.add(found())
    shutil.copy(file, tmp_path / "backup")
    registry.add(decided("promoted"))
    assert registry.entries()[0].status == "promoted"
    shutil.copy(tmp_path / "backup", file)
    assert registry.entries()[0].status is None
    registry.add(decided("rejected"))
    registry.add(decided("candidate", 1))
    assert [one.status for one in registry.entries()[0].history] == ["rejected", "candidate"]
    file.unlink()
    assert registry.entries() == ()


def test_an_audit_that_another_one_wrote_over_has_no_files(registry: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "audit.json").write_text("{}", "utf-8")
    registry.add(found())
    registry.add(found(B, "other"))
    registry.add(audited(out, minutes=1))
    registry.add(audited(out, minutes=2, checkpoint=B))
    one, other = (registry.get(key) for key in (A, B))
    assert one and other and one.audits[0].out is None and one.audit("q1") is None and other.audit("q1")
    # asked again, it takes the place back
    assert registry.add(audited(out, minutes=3))
    one, other = (registry.get(key) for key in (A, B))
    assert one and other and one.audit("q1") and other.audit("q1") is None
