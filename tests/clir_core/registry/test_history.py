"""A family's history as a page and as rows, on a registry written by hand."""

from pathlib import Path

import pytest
from alignment_case import FIGURES, audit

from clir_core.registry.facts import Audited, Decided, Found
from clir_core.registry.history import main_figures, of_family
from clir_core.registry.registry import Registry


def test_a_page_shows_every_checkpoint_of_the_family_and_why_the_last_verdict(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for name, family in (("a", "e5"), ("b", "e5"), ("c", "bge")):
        registry.add(Found(checkpoint=name * 64, name=name, ref=f"/{name}", family=family, source="s"))
    known = {"asked": "q", "corpus": "demo"}
    registry.add(Audited.model_validate(known | {"checkpoint": "a" * 64, "outcome": "unchanged", "reason": "Same."}))
    registry.add(Audited.model_validate(known | {"checkpoint": "b" * 64, "outcome": "failed", "reason": "No space."}))
    registry.add(Decided(checkpoint="a" * 64, status="promoted", reason="By hand."))
    history = of_family(registry.entries(), "e5")
    rows = {row["checkpoint"]: row for row in history.rows()}
    assert set(rows) == {"a", "b"} and rows["a"]["fingerprint"] == "a" * 12
    assert (rows["a"]["status"], rows["b"]["status"]) == ("promoted", "")
    page = history.as_markdown().splitlines()
    assert page[0] == "## e5"
    # the fingerprint stays in the rows: with it a page's table is wider than the page
    (head,) = (line for line in page if line.startswith("| found"))
    named = ["found", "checkpoint", "status", "outcome", "complete@10 X", "complete@10 en", "mono acc@1"]
    assert [cell.strip() for cell in head.strip("|").split("|")] == named
    assert [line.split(" | ")[1] for line in page if line.startswith("| 2")] == ["a", "b"]
    assert page[-1] == "**b**: failed. No space."


def test_the_figures_are_means_over_the_languages(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(Found(checkpoint="a" * 64, name="a", ref="/a", family="e5", source="s"))
    (tmp_path / "audit.json").write_text(audit(1).model_dump_json(), "utf-8")
    registry.add(Audited(checkpoint="a" * 64, asked="q", corpus="demo", outcome="measured", reason="", out=tmp_path))
    (row,) = of_family(registry.entries(), "e5").rows()
    own, english, mono = ([sides[at][1] for sides in FIGURES.values() if sides[at]] for at in range(3))
    for name, values in (("complete@10 X", own), ("complete@10 en", english), ("mono acc@1", mono)):
        assert row[name] == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_figures_that_a_fact_holds_need_no_files(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    known: dict[str, object] = {"corpus": "demo", "outcome": "measured", "out": tmp_path / "gone"}
    noted = {"complete@10 X": 0.25, "mono acc@1": 0.5}
    registry.add(Found(checkpoint="a" * 64, name="a", ref="/a", family="e5", source="s"))
    for asked, figures in (("q", noted), ("none noted", None), ("none asked for", {})):
        registry.add(Audited.model_validate(known | {"checkpoint": "a" * 64, "asked": asked, "figures": figures}))
    rows = of_family(registry.entries(), "e5").rows()
    shown = ("complete@10 X", "complete@10 en", "mono acc@1")
    assert [[row[name] for name in shown] for row in rows] == [[0.25, None, 0.5], [None] * 3, [None] * 3]


def test_audits_of_two_pivots_have_a_column_each(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.add(Found(checkpoint="a" * 64, name="a", ref="/a", family="e5", source="s"))
    known: dict[str, object] = {"checkpoint": "a" * 64, "corpus": "demo", "outcome": "measured"}
    for pivot, figure in (("en", 0.25), ("de", 0.5)):
        named = {f"complete@10 {pivot}": figure}
        registry.add(Audited.model_validate(known | {"asked": pivot, "pivot": pivot, "figures": named}))
    history = of_family(registry.entries(), "e5")
    shown = [(row["complete@10 en"], row["complete@10 de"]) for row in history.rows()]
    assert shown == [(0.25, None), (None, 0.5)] and "complete@10 de" in history.head
    assert "English or German and X versions" in history.as_markdown() and "de: in German" in history.as_markdown()


def test_figures_beside_another_pivot_are_called_by_it() -> None:
    rows = [
        row.model_copy(update={"query_lang": "de" if row.query_lang == "en" else row.query_lang})
        for row in audit(1).metrics
        if "de" not in (row.query_lang, row.lang)
    ]
    assert set(main_figures(rows, "de")) == {"complete@10 X", "complete@10 de", "mono acc@1"}
