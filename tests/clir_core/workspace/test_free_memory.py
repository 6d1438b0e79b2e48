"""What is available is what the system says, and no more than the container's limit leaves."""

from pathlib import Path

import pytest

from clir_core.errors import SpecError
from clir_core.workspace import memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text("MemTotal:       8000000 kB\nMemAvailable:   4194304 kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def test_the_systems_figure_where_no_container_limits(system: Path) -> None:
    assert memory.available() == 4 * memory.GIB
    (system / "memory.max").write_text("max\n")
    (system / "memory.current").write_text("123\n")
    assert memory.available() == 4 * memory.GIB


def test_a_containers_limit_less_what_it_uses_but_for_caches(system: Path) -> None:
    for name, text in (
        ("max", 3 * memory.GIB),
        ("current", 2 * memory.GIB),
        ("stat", f"anon 1\ninactive_file {2**29}"),
    ):
        (system / f"memory.{name}").write_text(f"{text}\n")
    assert memory.available() == 1.5 * memory.GIB


def test_a_system_that_does_not_say_refuses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.available() is None
    memory.check_room(2**60, "this", "leave it")


def test_the_refusal_has_both_figures_and_the_way_out(system: Path) -> None:
    memory.check_room(4 * memory.GIB, "this", "leave it")
    with pytest.raises(SpecError, match=r"^this needs about 6\.5 GiB of memory, and 4\.0 GiB are available; leave it$"):
        memory.check_room(13 * memory.GIB // 2, "this", "leave it")
