"""A registry of before, three LanceDB tables, is taken over once, whole, and stays where it is."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from clir_core.errors import StoreError
from clir_core.registry.facts import Decided
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.registry import Registry

START = datetime(2026, 3, 4, 15, 9, tzinfo=UTC)
# the columns that the tables had
COLUMNS = {
    "checkpoints": ("checkpoint", "at", "name", "ref", "family", "source", "parent", "run"),
    "audits": ("checkpoint", "at", "asked", "corpus", "outcome", "verdict", "reason", "baseline", "out", "by"),
    "statuses": ("checkpoint", "at", "status", "reason", "by", "audit_before", "audit_after"),
}
FOUND = {"name": "one", "ref": "/models/one", "family": "e5", "source": "align"}
ROWS = (
    ("checkpoints", 1, FOUND | {"parent": "b" * 64, "run": "r" * 64}),
    (
        "audits",
        2,
        {"asked": "q", "corpus": "demo", "outcome": "measured", "verdict": "Fine.", "out": "/o", "by": "ann"},
    ),
    ("audits", 4, {"asked": "q", "corpus": "demo", "outcome": "failed", "verdict": "", "reason": "No."}),
    ("statuses", 5, {"status": "promoted", "reason": "Better.", "audit_after": "/o"}),
    ("statuses", 3, {"status": "candidate", "reason": "Unsure."}),
)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Written as it was before: a row a commit."""
    registry = Registry(tmp_path)
    for kind, hours, fields in ROWS:
        times = {"at": pa.timestamp("us", "UTC")}
        schema = pa.schema([pa.field(name, times.get(name, pa.string())) for name in COLUMNS[kind]])
        table = lancedb.connect(registry.directory).create_table(kind, schema=schema, exist_ok=True)
        row = {"checkpoint": "a" * 64, "at": START + timedelta(hours=hours), "reason": "", "by": "ann"} | fields
        table.add(pa.Table.from_pylist([row], schema=schema))
    return registry


def check(registry: Registry) -> None:
    (entry,) = registry.entries()
    expected = FOUND | {"parent": "b" * 64, "run": "r" * 64, "formerly": None}
    assert entry.found.model_dump(exclude={"at", "checkpoint"}) == expected
    assert entry.checkpoint == "a" * 64 and entry.since == entry.found.at == START + timedelta(hours=1)
    assert [(one.outcome, one.verdict, one.reason, one.out, one.by) for one in entry.audits] == [
        ("measured", "Fine.", "", Path("/o"), "ann"),
        ("failed", "", "No.", None, "ann"),
    ]
    assert [(one.status, one.reason, one.audit_after) for one in entry.history] == [
        ("candidate", "Unsure.", None),
        ("promoted", "Better.", Path("/o")),
    ]


def test_it_is_taken_over_by_whoever_reads_first(registry: Registry) -> None:
    check(registry)
    check(Registry(registry.directory.parent))
    assert len(FactsFile(registry.directory / NAME).rows(1)) == len(ROWS)
    assert {f"{kind}.lance" for kind in COLUMNS} < {one.name for one in registry.directory.iterdir()}


def test_it_is_taken_over_by_whoever_writes_first(registry: Registry) -> None:
    # what stands there already is known
    assert not registry.add(Decided(checkpoint="a" * 64, status="promoted", reason="Better.", audit_after=Path("/o")))
    check(registry)
    assert registry.add(Decided(checkpoint="a" * 64, status="rejected", reason="Worse."))
    assert [one.status for one in registry.entries()[0].history] == ["candidate", "promoted", "rejected"]


def test_what_cannot_be_read_whole_is_not_taken_over(registry: Registry) -> None:
    for file in (registry.directory / "statuses.lance" / "_versions").iterdir():
        file.write_bytes(b"cut off")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"registry: cannot be read or written"):
            registry.entries()
        assert not (registry.directory / NAME).exists()


def test_lancedb_is_imported_for_that_alone(registry: Registry) -> None:
    code = (
        "import sys; from pathlib import Path; from clir_core.registry.registry import Registry\n"
        "assert len(Registry(Path(sys.argv[1])).entries()) == 1; print('lancedb' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(registry.directory.parent)]
    root = Path(__file__).resolve().parents[3]
    told = [subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout for _ in range(2)]
    assert told == ["True\n", "False\n"]
