"""Whatever of a workspace is damaged is named, mended, and then the same audit gives the same result as before."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec
from clir_core.errors import DamageError, StoreError
from clir_core.registry.facts_file import NAME
from clir_core.registry.registry import Registry
from clir_core.runs.audit import audit
from clir_core.runs.doctor import examine
from clir_core.runs.here import Here
from clir_core.runs.runner import Runner
from clir_core.workspace import layout
from clir_core.workspace.damage import Finding, is_aside
from clir_core.workspace.locks import locked

SCENARIOS = ("mono", "multi")


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, demo_part: Callable[..., Path]) -> AuditSpec:
    """An audit, in a workspace that nothing is the matter with."""
    folder = tmp_path_factory.mktemp("whole")
    corpus = demo_part(folder / "corpus", ("de",), 8)
    spec = AuditSpec(
        model=str(tiny_model), corpus=f"parquet:{corpus}", scenarios=SCENARIOS, workspace=folder / "workspace"
    )
    audit(spec, Here(), Runner())
    return spec


@pytest.fixture(scope="module")
def figures(whole: AuditSpec) -> object:
    (file,) = layout.audits(whole.workspace).glob("*/audit.json")
    return AuditResult.model_validate_json(file.read_bytes()).metrics


@pytest.fixture
def spec(whole: AuditSpec) -> Iterator[AuditSpec]:
    """The same workspace at the same place, to be harmed."""
    kept = whole.workspace.with_name("kept")
    shutil.copytree(whole.workspace, kept)
    yield whole
    shutil.rmtree(whole.workspace)
    kept.rename(whole.workspace)


def harmful(spec: AuditSpec) -> list[Finding]:
    return [finding for finding in examine(spec.workspace) if finding.is_damage]


def one(spec: AuditSpec, pattern: str) -> Path:
    (file,) = spec.workspace.glob(pattern)
    return file


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def junk(file: Path) -> None:
    file.write_bytes(b"\xff" * file.stat().st_size)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def another_digit(file: Path) -> None:
    """As a disk flips a bit: the file reads as before, and says something else."""
    data = bytearray(file.read_bytes())
    at = data.index(b'"n": ') + 5
    data[at] = ord("1") if data[at] != ord("1") else ord("2")
    file.write_bytes(data)


def another_word(file: Path) -> None:
    file.write_text(file.read_text("utf-8").replace("English", "Spanish"), "utf-8")


HARM: dict[str, tuple[str, Callable[[Path], None]]] = {
    "registry cut": ("registry/facts.sqlite", cut),
    "registry junk": ("registry/facts.sqlite", junk),
    "registry empty": ("registry/facts.sqlite", empty),
    "vectors cut": ("lancedb/*-document.lance/data/*", cut),
    "vectors junk": ("lancedb/*-query.lance/data/*", junk),
    "vectors gone": ("lancedb/*-document.lance/data/*", Path.unlink),
    "newest manifest gone": ("lancedb/*-document.lance/_versions/1844*3.manifest", Path.unlink),
    "newest manifest cut": ("lancedb/*-document.lance/_versions/1844*3.manifest", cut),
    "ranks cut": ("steps/ranks-*/ranks.parquet", cut),
    "ranks junk": ("steps/ranks-*/ranks.parquet", junk),
    "ranks gone": ("steps/ranks-*/ranks.parquet", Path.unlink),
    "top empty": ("steps/ranks-*/topk.parquet", empty),
    "queries gone": ("steps/metrics-*/queries.parquet", Path.unlink),
    "a step's result junk": ("steps/ranks-*/result.json", junk),
    "which vectors, junk": ("steps/ranks-*/embedded.json", junk),
    "audit, another digit": ("audits/*/audit.json", another_digit),
    "page, another word": ("audits/*/report.html", another_word),
    "a step's figures, another digit": ("steps/metrics-*/result.json", another_digit),
    "list of checksums junk": ("audits/*/SHA256SUMS", junk),
    "audit junk": ("audits/*/audit.json", junk),
    "audit's ranks cut": ("audits/*/ranks.parquet", cut),
    "canary cut": ("canaries/*.json", cut),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_damage_is_named_and_mended_and_the_result_comes_back(harm: str, spec: AuditSpec, figures: object) -> None:
    pattern, spoil = HARM[harm]
    file = one(spec, pattern)
    spoil(file)
    before = {path for path in spec.workspace.rglob("*") if path.is_file()}
    found = harmful(spec)
    assert found and all(finding.would for finding in found)
    assert {path for path in spec.workspace.rglob("*") if path.is_file()} == before
    for finding in examine(spec.workspace):
        if finding.mend:
            finding.mend()
    assert [finding for finding in harmful(spec) if finding.mend] == []
    again = audit(spec, Here(), Runner())
    assert again.result.metrics == figures
    assert harmful(spec) == []
    assert Registry(spec.workspace).get(again.entry.checkpoint) == again.entry
    assert [path for path in spec.workspace.rglob("*") if is_aside(path)]


def test_a_whole_workspace_is_told_so(spec: AuditSpec) -> None:
    (free,) = examine(spec.workspace)
    assert "GiB are free" in free.said and not free.is_damage


def test_a_lost_last_fact_is_told_and_enters_itself(spec: AuditSpec) -> None:
    with sqlite3.connect(spec.workspace / "registry" / NAME) as connection:
        connection.execute("DELETE FROM facts WHERE seq = (SELECT max(seq) FROM facts)")
    connection.close()
    (finding,) = harmful(spec)
    assert "audit.json: the registry does not know this audit" in finding.said and finding.mend is None
    runner = Runner()
    assert audit(spec, Here(), runner).news and runner.timings["rank golds"] == 0
    assert harmful(spec) == []


def test_a_step_that_a_run_is_at_is_left_alone(spec: AuditSpec) -> None:
    cut(one(spec, "steps/ranks-*/ranks.parquet"))
    with locked(one(spec, "steps/ranks-*") / layout.LOCK):
        assert harmful(spec) == []
        assert any("a run is at it" in finding.said for finding in examine(spec.workspace))
    assert len(harmful(spec)) == 1


def test_vectors_that_somebody_removed_are_no_damage(spec: AuditSpec) -> None:
    """To free a disk: what was computed from them is finished."""
    shutil.rmtree(spec.workspace / "lancedb")
    assert harmful(spec) == []


def test_a_damaged_table_sends_whoever_reads_it_here(spec: AuditSpec) -> None:
    cut(one(spec, "lancedb/*-document.lance/_versions/1844*3.manifest"))
    shutil.rmtree(spec.workspace / "steps")
    with pytest.raises(DamageError, match="`clir doctor`"):
        audit(spec, Here(), Runner())


@pytest.mark.parametrize("spoil", [cut, junk, empty, Path.unlink])
@pytest.mark.parametrize(
    ("name", "later"),
    [
        ("ranks-*/ranks.parquet", ("audits",)),
        ("ranks-*/topk.parquet", ("audits",)),
        ("metrics-*/queries.parquet", ("audits",)),
        ("ranks-*/ranks.parquet", ("audits", "steps/metrics-*")),
        ("ranks-*/topk.parquet", ("audits", "steps/metrics-*")),
    ],
)
def test_a_damaged_step_sends_whoever_reads_it_here(
    spec: AuditSpec, name: str, later: tuple[str, ...], spoil: Callable[[Path], None]
) -> None:
    spoil(one(spec, f"steps/{name}"))
    for pattern in later:
        shutil.rmtree(one(spec, pattern))
    with pytest.raises(StoreError, match="`clir doctor`"):
        audit(spec, Here(), Runner())
    assert not list(spec.workspace.glob("audits/*/*"))


@pytest.mark.parametrize(
    ("spoilt", "moved"),
    [("result.json", "steps/train-1/result.json"), ("checkpoints/step-1/model.safetensors", "steps/train-1"),
     ("checkpoints", "steps/train-1")],
)  # fmt: skip
def test_a_training_is_not_thrown_away_for_its_result_file_alone(tmp_path: Path, spoilt: str, moved: str) -> None:
    step = tmp_path / "steps" / "train-1"
    (step / "checkpoints" / "step-1").mkdir(parents=True)
    (step / "result.json").write_text("{}", "utf-8")
    save_file({"w": np.ones(9)}, step / "checkpoints" / "step-1" / "model.safetensors")
    assert [finding for finding in examine(tmp_path) if finding.is_damage] == []
    if (step / spoilt).is_dir():
        shutil.rmtree(step / spoilt)
    else:
        cut(step / spoilt)
    (finding,) = (finding for finding in examine(tmp_path) if finding.is_damage)
    assert finding.mend and f"moved to {tmp_path / moved}.damaged-" in finding.mend()


def test_a_damaged_checkpoint_is_moved_aside_whole(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints" / "e5-aligned-1" / "model.safetensors"
    place.parent.mkdir(parents=True)
    save_file({"w": np.ones(9)}, place)
    cut(place)
    (finding,) = (finding for finding in examine(tmp_path) if finding.is_damage)
    assert "model.safetensors: " in finding.said and finding.mend and finding.mend()
    assert not place.parent.exists()


# leftovers


def left(folder: Path, days: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "half").write_bytes(b"x" * 2**20)
    long_ago = time.time() - days * 24 * 3600
    for path in (folder / "half", folder):
        os.utime(path, (long_ago, long_ago))
    return folder


def test_old_leftovers_are_counted_and_removed_and_young_ones_left(tmp_path: Path) -> None:
    old = [left(tmp_path / "audits" / "a" / ".unfinished-abcd1234", 2), left(tmp_path / ".auth~abcd_234", 3)]
    others = [
        left(tmp_path / ".auth~abcd_235", 0.5),
        left(tmp_path / "audits" / ".mine", 9),
        left(tmp_path / "steps" / "ranks-1", 9),
    ]
    removal, begun, _ = examine(tmp_path)
    assert "2.0 MiB (2) in temporary folders" in removal.said and "1.0 MiB (1) in steps" in begun.said
    assert not (removal.is_damage or begun.is_damage or begun.mend)
    assert removal.mend and "removed 2.0 MiB (2)" in removal.mend()
    assert [one.exists() for one in (*old, *others)] == [False, False, True, True, True]


def test_what_a_killed_swap_took_out_of_its_place_is_put_back(tmp_path: Path) -> None:
    folder = left(tmp_path / "alignments" / "a" / ".unfinished-abcd1234", 2)
    (folder / "old-before").mkdir()
    saved = left(tmp_path / "steps" / "train-1" / "states" / ".step-1~abcd1234", 2)
    (saved / "before").mkdir()
    for place in (folder, saved):
        os.utime(place, (0, 0))
        for inside in place.iterdir():
            os.utime(inside, (0, 0))
    found = [finding for finding in examine(tmp_path) if finding.is_damage]
    assert len(found) == 2
    for finding in examine(tmp_path):
        if finding.mend:
            finding.mend()
    assert (tmp_path / "alignments" / "a" / "before").is_dir()
    assert (tmp_path / "steps" / "train-1" / "states" / "step-1").is_dir()


# Prefect's history


@pytest.fixture
def history(tmp_path: Path) -> Path:
    file = layout.prefect(tmp_path) / "prefect.db"
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO run (name) VALUES (?)", [("x" * 500,)] * 500)
    connection.close()
    return file


def test_a_whole_history_is_nothing_to_tell(history: Path, tmp_path: Path) -> None:
    with sqlite3.connect(history) as connection:
        connection.execute("INSERT INTO run (name) VALUES ('y')")
        assert [finding for finding in examine(tmp_path) if finding.is_damage] == []
    connection.close()


@pytest.mark.parametrize("spoil", [cut, junk, empty])
def test_a_damaged_history_is_moved_aside_once_nobody_has_it_open(
    spoil: Callable[[Path], None], history: Path, tmp_path: Path
) -> None:
    spoil(history)
    content = history.read_bytes()
    with history.open("rb"):
        (finding,) = (finding for finding in examine(tmp_path) if finding.is_damage)
        assert finding.mend is None and f"pid {os.getpid()}" in finding.would
    (finding,) = (finding for finding in examine(tmp_path) if finding.is_damage)
    assert finding.mend and "make up" in finding.mend()
    assert not history.exists() and one_of(history.parent).read_bytes() == content


def one_of(folder: Path) -> Path:
    (file,) = (path for path in folder.iterdir() if is_aside(path) and path.name.startswith("prefect.db.damaged"))
    return file
