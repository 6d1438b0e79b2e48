"""A step is computed once: its result is there whole or not at all, and an unfinished one is computed again."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from clir_core.errors import StoreError
from clir_core.spec import Spec
from clir_core.workspace.layout import LOCK, RESULT, SUMS
from clir_core.workspace.steps import once, step_directory


class Found(Spec):
    value: int
    words: tuple[str, ...] = ()


class FoundLater(Spec):
    """What another version of the library would write."""

    value: int
    unit: str


FOUND = Found(value=1, words=("ein", "二"))


def computed(value: int, calls: list[Path]) -> Callable[[Path], Found]:
    def compute(directory: Path) -> Found:
        calls.append(directory)
        (directory / "ranks.parquet").write_text(str(value))
        return Found(value=value, words=("ein", "二"))

    return compute


def test_a_step_is_computed_the_first_time_only(tmp_path: Path) -> None:
    calls: list[Path] = []
    directory = tmp_path / "deep" / "below"
    assert once(directory, Found, computed(1, calls)) == (FOUND, False)
    assert once(directory, Found, computed(2, calls)) == (FOUND, True)
    assert calls == [directory]
    assert (directory / "ranks.parquet").read_text() == "1"


def test_a_step_that_failed_is_computed_again(tmp_path: Path) -> None:
    def fails(directory: Path) -> Found:
        (directory / "ranks.parquet").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(tmp_path / "step", Found, fails)
    assert {path.name for path in (tmp_path / "step").iterdir()} == {LOCK, "ranks.parquet"}
    assert once(tmp_path / "step", Found, computed(1, [])) == (FOUND, False)


@pytest.mark.parametrize(
    "text", ["", '{"value": 1', "{}", '{"value": "many"}', FoundLater(value=1, unit="m").model_dump_json()]
)
def test_a_result_that_does_not_fit_is_computed_again(text: str, tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(text)
    found, done_before = once(tmp_path, Found, computed(3, []))
    assert (found.value, done_before) == (3, False)
    assert once(tmp_path, Found, computed(4, [])) == (found, True)


def test_a_result_of_junk_is_computed_again(tmp_path: Path) -> None:
    for junk in (b"\xff" * 99, b"\0" * 99):
        (tmp_path / RESULT).write_bytes(junk)
        assert once(tmp_path, Found, computed(3, [])) == (FOUND.model_copy(update={"value": 3}), False)


def test_a_result_is_written_after_the_steps_files(tmp_path: Path) -> None:
    def compute(directory: Path) -> Found:
        assert not (directory / RESULT).exists()
        return Found(value=1)

    once(tmp_path, Found, compute)
    assert Found.model_validate_json((tmp_path / RESULT).read_text("utf-8")) == Found(value=1)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, RESULT, SUMS}


def test_who_comes_while_it_is_computed_waits_and_finds_it(tmp_path: Path) -> None:
    began, calls = Event(), []

    def slow(directory: Path) -> Found:
        began.set()
        # until the other one is at the lock
        while not waiting():
            pass
        return computed(1, calls)(directory)

    def waiting() -> bool:
        return any(" FLOCK " in line and "->" in line for line in Path("/proc/locks").read_text().splitlines())

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(once, tmp_path, Found, slow)
        assert began.wait(10)
        second = threads.submit(once, tmp_path, Found, computed(2, calls))
        assert (first.result(10), second.result(10)) == ((FOUND, False), (FOUND, True))
    assert len(calls) == 1


def test_a_run_killed_while_it_computes_holds_nothing_back(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path\n"
        "from clir_core.spec import Spec; from clir_core.workspace.steps import once\n"
        f"once(Path({str(tmp_path)!r}), Spec, lambda _: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert (tmp_path / LOCK).exists()
    assert once(tmp_path, Found, computed(1, [])) == (FOUND, False)


def test_a_directory_is_named_by_all_that_the_step_depends_on(tmp_path: Path) -> None:
    base = {"model": "0a", "languages": ("en", "de"), "cutoff": 10}
    same = step_directory(tmp_path, "ranks", cutoff=10, languages=["en", "de"], model="0a")
    assert step_directory(tmp_path, "ranks", **base) == same
    assert same.parent == tmp_path / "steps" and same.name.startswith("ranks-")
    others = [base | {"model": "0b"}, base | {"languages": ("de", "en")}, base | {"cutoff": 11}, base | {"seed": None}]
    assert len({step_directory(tmp_path, "ranks", **other) for other in others} | {same}) == 5
    assert step_directory(tmp_path, "metrics", **base) != same


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/.*: cannot be read or written"):
        once(tmp_path / "file" / "step", Found, computed(1, []))
