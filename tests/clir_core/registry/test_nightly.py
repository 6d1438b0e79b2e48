"""Which audits are due, against whom, and what the night says; on registries written by hand."""

from pathlib import Path

import pytest

from clir_core.registry.discovery import Problem
from clir_core.registry.facts import Audited, Decided, Found
from clir_core.registry.nightly import Judged, NightlySpec, NightlySummary, as_markdown, due_audits
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList

WATCH = WatchList.model_validate(
    {"version": 1, "families": [{"name": "e5", "sources": [{"kind": "aligned"}]}], "audit": {"languages": ["de"]}}
)


class Night:
    """A registry, and what is due in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.registry = Registry(place)

    def found(self, name: str, **fields: object) -> str:
        (self.place / name).mkdir(parents=True, exist_ok=True)
        known = {"checkpoint": name * 4, "name": name, "ref": str(self.place / name), "family": "e5", "source": "s"}
        self.registry.add(Found.model_validate(known | fields))
        return name * 4

    def audited(self, checkpoint: str, outcome: str = "unchanged", asked: str = "q") -> None:
        out = self.place / f"audit-{checkpoint}"
        out.mkdir(parents=True, exist_ok=True)
        (out / "audit.json").write_text("{}")
        fact = {"checkpoint": checkpoint, "asked": asked, "corpus": "demo", "outcome": outcome, "out": out}
        self.registry.add(Audited.model_validate(fact | ({"out": None} if outcome == "failed" else {})))

    def due(self, *seen: str, baseline: str | None = None) -> list[tuple[str, str | None]]:
        spec = NightlySpec(workspace=self.place)
        found = due_audits(spec, WATCH, seen, {"e5": baseline} if baseline else {}, "q")
        assert all(one.audit.languages == ("de",) and one.audit.workspace == self.place for one in found)
        return [(one.name, one.baseline and one.baseline[0]) for one in found]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


def test_what_has_no_audit_of_this_question_is_due(night: Night) -> None:
    a, b, c, d = (night.found(name) for name in "abcd")
    night.audited(a)
    night.audited(b, asked="another")
    night.audited(c, "failed")
    assert night.due(a, b, c, d, d) == [("b", None), ("c", None), ("d", None)]
    night.audited(d)
    (night.place / f"audit-{d}" / "audit.json").unlink()
    assert ("d", None) in night.due(a, b, c, d)


def test_it_is_held_against_its_parent_then_the_promoted_then_the_baseline(night: Night) -> None:
    base, a, b, c = night.found("x"), night.found("a"), night.found("b", parent="aaaa"), night.found("c")
    for one in (base, a):
        night.audited(one)
    assert night.due(base, a, b, c, baseline=base) == [("b", "a"), ("c", "x")]
    night.registry.add(Decided(checkpoint=a, status="promoted", reason="Better."))
    assert night.due(base, a, b, c, baseline=base) == [("b", "a"), ("c", "a")]


def test_another_familys_promotion_is_nothing_to_it(night: Night) -> None:
    base, other, a = night.found("x"), night.found("o", family="bge"), night.found("a")
    night.audited(base)
    night.registry.add(Decided(checkpoint=other, status="promoted", reason="Better."))
    assert night.due(a, baseline=base) == [("a", "x")]


def test_a_baseline_that_nobody_measured_comes_first(night: Night) -> None:
    a = night.found("a", parent="pppp")
    parent = night.found("p")
    assert night.due(a) == [("p", None), ("a", "p")]
    night.audited(parent, "measured")
    assert night.due(a) == [("a", "p")]


def test_a_parent_that_was_never_measured_and_is_gone_is_no_baseline(night: Night) -> None:
    base = night.found("x")
    night.found("p", ref="/nowhere/p")
    a = night.found("a", parent="pppp")
    assert night.due(a, baseline=base) == [("x", None), ("a", "x")]
    night.audited("pppp")
    assert night.due(a, baseline=base) == [("a", "p")]


def test_an_audit_that_nobody_judged_is_judged(night: Night) -> None:
    """Asked for by hand, or cut off between the audit and its judgement."""
    base, a = night.found("x"), night.found("a")
    for one in (base, a):
        night.audited(one, "measured")
    assert night.due(base, a, baseline=base) == [("a", "x")]
    night.audited(a, "improved")
    assert night.due(base, a, baseline=base) == []


def test_the_summary_begins_with_what_went_wrong() -> None:
    def judged(name: str, outcome: str, reason: str = "why") -> Judged:
        fields = {"checkpoint": name, "name": name, "family": "e5", "outcome": outcome, "reason": reason}
        return Judged.model_validate(fields)

    waiting, lost = Problem(place="/m/new", reason="no weights"), Problem(place="e5, hf:o/n", reason="no network")
    offered = judged("b", "regressed", "a | b\nc").model_copy(update={"offer": "A *correction* mends it."})
    found = [judged("a", "unchanged"), offered, judged("c", "failed", "no space")]
    summary = NightlySummary(judged=tuple(found), known=4, waiting=(waiting,), problems=(lost,))
    page = as_markdown(summary)
    assert page.splitlines()[0] == (
        "## 3 audited, 1 regressed, 1 failed; 4 known before, 1 not complete yet, 1 out of reach"
    )
    rows = [line.split(" | ")[1] for line in page.splitlines() if line.startswith("| e5")]
    assert rows == ["c", "b", "a"]
    assert "### b: regressed\na \\| b c\n" in page
    assert "\nA \\*correction\\* mends it." in page
    assert "- `/m/new`: no weights" in page and "- `e5, hf:o/n`: no network" in page
    assert summary.failed == ("c: no space", "e5, hf:o/n: no network")


def test_a_quiet_night_is_one_line() -> None:
    summary = NightlySummary(judged=(), known=2, waiting=(), problems=())
    page = as_markdown(summary)
    assert page == "## 0 audited; 2 known before"
    assert summary.failed == ()
