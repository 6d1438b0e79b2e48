"""A service is looked at: what died since the last look, its cluster, its disk, its registry."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clir_core.audit.spec import RuntimeSpec
from clir_core.errors import SpecError, StoreError
from clir_core.registry.health import Check, HealthSpec
from clir_core.runs.health import check_health, look_after, note_look
from clir_core.workspace import layout

JOBS = RuntimeSpec(ray_jobs="http://127.0.0.1:1")


def died(workspace: Path, part: str, ago: timedelta, how: str = "terminated by SIGKILL") -> None:
    """supervisord's own words for it, in UTC."""
    log = layout.supervisor_log(workspace)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC) - ago:%Y-%m-%d %H:%M:%S},000 WARN exited: {part} ({how}; not expected)\n")


def answers(_: str) -> None:
    """A cluster that takes jobs."""


def refuses(address: str) -> None:
    raise SpecError(f"no Ray cluster takes jobs at {address}")


def looked(workspace: Path, knock: object = answers, **spec: float) -> dict[str, Check]:
    health = look_after(HealthSpec(workspace=workspace, runtime=JOBS, **spec), knock)  # type: ignore[arg-type]
    return {check.what: check for check in health.checks}


def test_where_nothing_is_wrong_all_is_well(tmp_path: Path) -> None:
    assert {what: check.is_well for what, check in looked(tmp_path).items()} == {
        "parts": True, "Ray": True, "disk": True, "registry": True,
    }  # fmt: skip


def test_a_death_is_told_once_however_long_the_look_had_to_wait(tmp_path: Path) -> None:
    spec = HealthSpec(workspace=tmp_path)
    note_look(spec, datetime.now(UTC) - timedelta(hours=9))
    for ago in (8, 5, 3):
        died(tmp_path, "ray", timedelta(hours=ago))
    died(tmp_path, "worker", timedelta(hours=1), "exit status 1")
    told = looked(tmp_path)["parts"]
    assert not told.is_well and "ray died at" in told.said and "3 times in all" in told.said
    assert "exit status 1" in told.said and told.said.count("died at") == 2
    assert looked(tmp_path)["parts"] == told  # nobody was told yet
    note_look(spec, datetime.now(UTC))
    assert looked(tmp_path)["parts"].is_well


def test_what_was_before_the_first_look_is_an_hour_old_at_most(tmp_path: Path) -> None:
    died(tmp_path, "server", timedelta(hours=3))
    assert looked(tmp_path)["parts"].is_well


@pytest.mark.parametrize("note", [b"", b"yesterday", b"\xff\xfe"])
def test_a_damaged_note_of_the_last_look_is_an_hour_ago(tmp_path: Path, note: bytes) -> None:
    note_look(HealthSpec(workspace=tmp_path), datetime.now(UTC))
    layout.health_seen(tmp_path).write_bytes(note)
    died(tmp_path, "server", timedelta(minutes=30))
    assert "server died at" in looked(tmp_path)["parts"].said


def test_a_cluster_a_disk_and_a_registry_that_are_not_well_are_named(tmp_path: Path) -> None:
    layout.registry(tmp_path).mkdir(parents=True)
    (layout.registry(tmp_path) / "facts.sqlite").write_bytes(b"not a database" * 100)
    found = looked(tmp_path, refuses, free_gib=1e9)
    assert not found["Ray"].is_well and "127.0.0.1:1" in found["Ray"].said
    assert not found["disk"].is_well and "free some" in found["disk"].said
    assert not found["registry"].is_well and "facts.sqlite" in found["registry"].said


def test_what_is_not_well_fails_the_run(tmp_path: Path) -> None:
    health = look_after(HealthSpec(workspace=tmp_path, free_gib=1e9), answers)
    with pytest.raises(StoreError, match="free some"):
        check_health(health)
    check_health(look_after(HealthSpec(workspace=tmp_path), answers))
