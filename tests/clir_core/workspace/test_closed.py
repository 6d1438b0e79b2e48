"""A workspace is its owner's alone, a new one and an old one; what is asked for elsewhere is as open as ever."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from other_user import doors, needs_root

from clir_core.workspace import layout
from clir_core.workspace.private import close


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def an_old_one(workspace: Path) -> Path:
    """As older versions left it: open to be read, with a folder in which everybody writes."""
    for folder in (layout.prefect(workspace), layout.service(workspace), layout.audits(workspace), workspace / "ray"):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text("x")
    (workspace / "ray").chmod(0o777)
    (layout.prefect(workspace) / "prefect.db").write_text("x")
    return workspace


@needs_root
def test_no_other_user_gets_into_a_workspace(tmp_path: Path) -> None:
    new, old = tmp_path / "new" / ".clir", an_old_one(tmp_path / "old")
    assert {f"write {old / 'ray'}", f"read {old / 'prefect' / 'prefect.db'}"} <= set(doors(old))
    for workspace in (new, old):
        close(workspace)
        layout.audits(workspace).mkdir(exist_ok=True)
        (layout.audits(workspace) / "report.html").write_text("x")
        assert doors(workspace) == []


def test_secrets_are_closed_one_by_one(tmp_path: Path) -> None:
    """Whoever copies or opens the workspace takes the modes of what lies in it along."""
    close(an_old_one(tmp_path))
    inside = [*layout.prefect(tmp_path).rglob("*"), *layout.service(tmp_path).rglob("*")]
    assert len(inside) == 5 and not [path for path in inside if mode(path) & 0o077]


def test_what_lies_beside_a_workspace_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (an_old_one(tmp_path / "old") / "prefect" / "link").symlink_to(tmp_path / "results")
    close(tmp_path / "old")
    assert (mode(tmp_path / "results"), mode(tmp_path / "old")) == (0o755, 0o700)
    close(tmp_path / "not" / "there" / "yet")
    assert [mode(tmp_path / name) for name in ("not", "not/there", "not/there/yet")] == [0o755, 0o755, 0o700]


def test_a_folder_for_everybody_stays_one(tmp_path: Path) -> None:
    """As /tmp is; the secrets in it are closed all the same."""
    an_old_one(tmp_path).chmod(0o1777)
    close(tmp_path)
    assert (mode(tmp_path), mode(tmp_path / "prefect")) == (0o1777, 0o700)
