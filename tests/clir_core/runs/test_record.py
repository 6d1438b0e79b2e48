"""What runs enter into the registry, and what they leave to people."""

from pathlib import Path

import pytest
from alignment_case import FIGURES, alignment, audit

from clir_core.model.checkpoint import Checkpoint
from clir_core.registry.facts import Decided, Found
from clir_core.registry.registry import Registry
from clir_core.runs.record import known_as, record_alignment, record_audit


def checkpoint(name: str, path: Path) -> Checkpoint:
    return Checkpoint(
        name=name, ref=str(path), path=path, digest="a" * 64, vectors="b" * 64, query_prompt="",
        document_prompt="", max_tokens=512, truncate_dim=None, dtype="float32", normalize=True, remote_code=False,
    )  # fmt: skip


def test_an_audit_is_entered_once_with_the_figures_that_a_history_shows(tmp_path: Path) -> None:
    result = audit(1)
    result = result.model_copy(update={"spec": result.spec.model_copy(update={"workspace": tmp_path})})
    one, out = checkpoint("one", tmp_path / "one"), tmp_path / "out"
    out.mkdir()
    (out / "audit.json").write_text("{}", "utf-8")
    entry, fact = record_audit(result, out, one, "me")
    assert fact and (fact.by, fact.outcome, fact.verdict) == ("me", "measured", result.verdict[0])
    assert (entry.found.family, entry.found.source, entry.audits) == ("one", "audit", (fact,))
    mono = [sides[2][1] for sides in FIGURES.values()]
    assert fact.figures and fact.figures["mono acc@1"] == pytest.approx(sum(mono) / len(mono), abs=1e-4)
    assert record_audit(result, out, one, "another") == (entry, None)
    # to another place, it is another audit
    again, fact = record_audit(result, tmp_path / "elsewhere", one, "me")
    assert fact and again.audits == (*entry.audits, fact)


def test_an_entry_of_before_keeps_its_name_and_its_family_under_todays_fingerprint(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    before = Found(checkpoint="old", name="watched", ref="/w", family="e5", source="incoming", parent="p", run="r")
    registry.add(before)
    registry.add(Decided(checkpoint="old", status="promoted", reason="Better."))
    today = Found(checkpoint="new", formerly="old", name="copy", ref="/c", family="copy", source="audit")
    for _ in range(2):
        entry, fact = known_as(registry, today)
        assert entry and (entry.checkpoint, entry.status, entry.since) == ("new", "promoted", before.at)
        assert entry.found.says() == before.says() | {"checkpoint": "new", "formerly": "old"}
        assert fact.formerly is None
    assert len(registry.entries()) == 1
    # the same files had another one with other prompts
    registry.add(Found(checkpoint="older", name="by hand", ref="/h", family="hand", source="audit"))
    entry, _ = known_as(registry, today.model_copy(update={"formerly": "older"}))
    assert entry and (entry.name, entry.found.family) == ("watched", "e5") and len(registry.entries()) == 1
    assert known_as(registry, today.model_copy(update={"checkpoint": "x", "formerly": "y"}))[0] is None


def test_the_same_run_asked_again_leaves_a_persons_decision(tmp_path: Path) -> None:
    told: list[str] = []
    result = alignment()
    result = result.model_copy(
        update={
            "spec": result.spec.model_copy(update={"workspace": tmp_path}),
            "decision": result.decision.model_copy(update={"status": "promoted"}),
        }
    )
    made = checkpoint("tuned", tmp_path)

    def registered(out: str = "out") -> list[str]:
        asked = result.model_copy(update={"audit_after": tmp_path / out / "after"})
        entry, decided = record_alignment(asked, made, "me")
        told.extend([decided.status] if decided else [])
        return [one.status for one in entry.history]

    assert registered() == registered() == ["promoted"] and told == ["promoted"]
    Registry(tmp_path).add(Decided(checkpoint=made.digest, status="rejected", reason="It reads badly."))
    assert registered() == registered("elsewhere") == ["promoted", "rejected"] and told == ["promoted"]
