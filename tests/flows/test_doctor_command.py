"""`clir doctor` says what it found and what it would do, and does it when asked."""

from pathlib import Path

import pytest

from clir_core.registry.facts import Found
from clir_core.registry.facts_file import NAME
from clir_core.registry.registry import Registry
from flows import cli


def doctor(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | str:
    monkeypatch.setattr("sys.argv", ["clir", "doctor", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_it_finds_says_mends_and_finds_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(tmp_path)
    registry.add(Found(checkpoint="a", name="a", ref="bm25", family="f", source="audit"))
    file = registry.directory / NAME
    whole = file.read_bytes()
    asked = ("--workspace", tmp_path)
    assert doctor(monkeypatch, *asked) == 0 and "GiB are free" in capsys.readouterr().out
    file.write_bytes(b"\xff" * 100 + whole[100:])
    damaged = file.read_bytes()
    assert doctor(monkeypatch, *asked) == 1
    said = capsys.readouterr().out
    assert f"{file}: is damaged (" in said and "--repair would carry over 1 of at least 1 facts" in said
    assert file.read_bytes() == damaged
    assert doctor(monkeypatch, *asked, "--repair") == 0 and "done: " in capsys.readouterr().out
    assert doctor(monkeypatch, *asked) == 0 and len(registry.entries()) == 1


def test_a_place_without_a_workspace_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no workspace is there" in str(doctor(monkeypatch, "--workspace", tmp_path / "nowhere"))
