"""Disks of every size: a run ends well or says that space is missing, and with more of it ends as on a large one."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_core.align.spec import AlignSpec, OptimiserSpec
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.errors import ClirError, StoreError
from clir_core.measure.compare import Difference
from clir_core.registry.registry import Registry
from clir_core.runs.align import Aligned, align
from clir_core.runs.audit import audit
from clir_core.runs.doctor import examine
from clir_core.runs.here import Here
from clir_core.runs.kept import finished
from clir_core.runs.runner import Runner
from clir_core.workspace import layout

SIZES = (4, 64, 128, 256, *range(292, 316, 8), 384)  # KiB; what is written last is small
ENOUGH = 64 * 1024


@pytest.fixture(scope="module")
def spec(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, demo_part: Callable[..., Path]) -> AuditSpec:
    folder = tmp_path_factory.mktemp("large")
    corpus = demo_part(folder / "corpus", ("de",), 8)
    return AuditSpec(
        model=str(tiny_model), corpus=f"parquet:{corpus}", scenarios=("mono", "multi"), workspace=folder / "workspace"
    )


@pytest.fixture(scope="module")
def figures(spec: AuditSpec) -> tuple[MetricRow, ...]:
    return audit(spec, Here(), Runner()).result.metrics


def ended(run: Callable[[], object]) -> str:
    """What the user is told where a run fails; nothing where it ends well."""
    try:
        run()
    except ClirError as error:
        return str(error)
    return ""


def damaged(workspace: Path) -> list[str]:
    """What is half written and looks whole. A result that nobody has entered yet is whole."""
    return [
        found.said for found in (examine(workspace) if workspace.exists() else ()) if found.is_damage and found.mend
    ]


def remounted(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=pytest.mark.slow) if at % 2 else size for at, size in enumerate(SIZES)]
)
def test_an_audit_on_a_disk_of_this_size(
    size: int, spec: AuditSpec, figures: tuple[MetricRow, ...], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(size)
    asked = spec.model_copy(update={"workspace": disk / "workspace"})
    told = ended(lambda: audit(asked, Here(), Runner()))
    assert not told or ("no space left" in told.lower() and str(disk) in told)
    assert damaged(asked.workspace) == []
    remounted(disk, f"size={ENOUGH}k")
    again = audit(asked, Here(), Runner())
    assert again.result.metrics == figures
    assert {path.name for path in again.out.iterdir()} == set(layout.AUDIT_FILES)
    assert Registry(asked.workspace).get(again.entry.checkpoint) == again.entry


@pytest.mark.parametrize("step", [0, 3, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 2, 4, 5)), 6])
def test_an_audit_on_a_disk_that_becomes_read_only(
    step: int, spec: AuditSpec, figures: tuple[MetricRow, ...], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(ENOUGH)
    asked = spec.model_copy(update={"workspace": disk / "workspace"})

    class Until(Runner):
        """Before this step the disk can be written no more."""

        def carry_out(self, *arguments: Any) -> Any:
            if len(self.timings) == step:
                remounted(disk, "ro")
            return super().carry_out(*arguments)

    with pytest.raises(StoreError, match=r"(?i)read-only file system") as caught:
        audit(asked, Here(), Until())
    assert str(disk) in str(caught.value)
    assert damaged(asked.workspace) == []
    remounted(disk, "rw")
    assert audit(asked, Here(), Runner()).result.metrics == figures


def test_what_is_finished_is_read_on_a_read_only_disk(
    spec: AuditSpec, figures: tuple[MetricRow, ...], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(ENOUGH)
    asked = spec.model_copy(update={"workspace": disk / "workspace"})
    done = audit(asked, Here(), Runner())
    remounted(disk, "ro")
    assert finished(asked) == done.out
    assert Registry(asked.workspace).entries() == (done.entry,)
    assert audit(asked, Here(), Runner()).result.metrics == figures
    assert damaged(asked.workspace) == []


# an alignment


@pytest.fixture(scope="module")
def asked(spec: AuditSpec, tmp_path_factory: pytest.TempPathFactory) -> AlignSpec:
    return AlignSpec(
        base=spec.model,
        evaluation=spec.corpus,
        allow_contamination=("*",),
        languages=("de",),
        triples=16,
        loss="infonce",
        optimiser=OptimiserSpec(batch=8, query_tokens=16, passage_tokens=16),
        held_out=0.0,
        workspace=tmp_path_factory.mktemp("alignment") / "workspace",
    )


def aligned(spec: AlignSpec) -> Aligned:
    return align(spec, Here(), Runner(), lambda _, asked: audit(asked, Here(), Runner()).out)


@pytest.fixture(scope="module")
def differences(asked: AlignSpec) -> tuple[Difference, ...]:
    return aligned(asked).result.differences


@pytest.mark.parametrize("size", [200, 700, 1100, 1500])
def test_an_alignment_on_a_disk_of_this_size(
    size: int, asked: AlignSpec, differences: tuple[Difference, ...], small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(size)
    small = asked.model_copy(update={"workspace": disk / "workspace"})
    told = ended(lambda: aligned(small))
    assert not told or ("no space left" in told.lower() and str(disk) in told)
    assert damaged(small.workspace) == []
    remounted(disk, f"size={ENOUGH}k")
    again = aligned(small)
    assert again.result.differences == differences
    assert {path.name for path in again.out.iterdir()} == set(layout.ALIGNMENT_FILES)
    assert damaged(small.workspace) == []
