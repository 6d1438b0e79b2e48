"""What facts add up to, whatever times they carry, and under whatever fingerprint they were said."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clir_core.registry.facts import Audited, Decided, Fact, Found
from clir_core.registry.ledger import Ledger

START = datetime(2026, 3, 4, tzinfo=UTC)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def found(checkpoint: str, hours: int = 0, **changes: str | None) -> Found:
    fields = {"name": checkpoint, "ref": f"/{checkpoint}", "family": "e5", "source": "s"} | changes
    return Found.model_validate({"checkpoint": checkpoint, "at": at(hours)} | fields)


def audited(checkpoint: str, hours: int, out: str | None = None, asked: str = "q") -> Audited:
    fields = {"checkpoint": checkpoint, "at": at(hours), "asked": asked, "corpus": "demo", "outcome": "measured"}
    return Audited.model_validate(fields | {"out": out})


def ledger(*facts: Fact) -> Ledger:
    taken = Ledger()
    for fact in facts:
        taken.take(fact)
        taken.entries()  # what is kept must not outlive what comes next
    return taken


def test_what_was_said_of_the_former_fingerprint_was_said_of_this_one() -> None:
    new = found("new", 5, formerly="old")
    said = (found("old", 1, name="before"), audited("old", 2, "/o"), audited("new", 6, "/p"),
            Decided(checkpoint="old", at=at(3), status="promoted", reason="Better."))  # fmt: skip
    for facts in ((*said, new), (said[0], new, *said[1:])):
        taken = ledger(*facts, found("child", 9, parent="old"))
        entry, child = taken.entries()
        assert taken.entry("old") is taken.entry("new") is entry and entry.checkpoint == "new"
        assert (entry.name, entry.since, entry.status) == ("new", at(1), "promoted")
        assert [(one.checkpoint, one.at, one.out) for one in entry.audits] == [
            ("new", at(2), Path("/o")),
            ("new", at(6), Path("/p")),
        ]
        assert child.found.parent and taken.entry(child.found.parent) == entry
        # said again, under either, it is no news
        for fact in said[1:]:
            newest = taken.newest_like(fact)
            assert newest and newest.checkpoint == taken.of_today(fact).checkpoint == "new"


def test_one_checkpoint_may_have_had_several_fingerprints() -> None:
    """Of the same files with other prompts, or one after another."""
    taken = ledger(found("a", 1), found("b", 2), audited("a", 3), audited("b", 4), found("d", 5, formerly="a"),
                   found("d", 6, formerly="b"), found("e", 7, formerly="d"), audited("a", 8))  # fmt: skip
    (entry,) = taken.entries()
    assert entry.checkpoint == "e" and [one.at for one in entry.audits] == [at(3), at(4), at(8)]
    assert {taken.entry(one) for one in "abde"} == {entry}


def test_a_fingerprint_that_is_its_own_former_one_changes_nothing() -> None:
    taken = ledger(found("a", 1, formerly="a"), found("b", 2, formerly="a"), found("a", 3, formerly="b"))
    (entry,) = taken.entries()
    assert entry.checkpoint == "b" and entry.found.at == at(3)


def test_an_adopted_audit_keeps_its_files_and_loses_them_to_another_checkpoint() -> None:
    facts = (found("old"), audited("old", 1, "/o"), found("new", 2, formerly="old"), found("other", 3))
    (new, _) = ledger(*facts).entries()
    assert new.audits[0].out == Path("/o")
    (new, other) = ledger(*facts, audited("other", 4, "/o")).entries()
    assert new.audits[0].out is None and other.audits[0].out == Path("/o")


def test_a_clock_that_was_set_back_takes_nothing_back() -> None:
    told = [Decided(checkpoint="a", at=at(hours), status=status, reason="") for hours, status in
            ((24, "promoted"), (0, "rejected"))]  # fmt: skip
    last = Decided(checkpoint="b", at=at(2), status="promoted", reason="")
    taken = ledger(found("a", 23), found("b", 1), audited("b", 1), *told, last)
    a, b = taken.entries()
    assert (a.name, a.status, b.name) == ("a", "rejected", "b")
    assert taken.last_told(Decided, (a, b)) == taken.last_told(Audited, (a, b)) == b
    assert taken.last_told(Audited, (a,)) is None


def by_hand(facts: Sequence[Fact]) -> dict[str, tuple[object, ...]]:
    """Every checkpoint's facts, as they came; an audit's files are those of the last one that wrote there."""
    owners = {one.out: (one.checkpoint, one.asked) for one in facts if isinstance(one, Audited) and one.out}
    states = {}
    for checkpoint in {fact.checkpoint for fact in facts if isinstance(fact, Found)}:
        own = [fact for fact in facts if fact.checkpoint == checkpoint]
        places = [fact for fact in own if isinstance(fact, Found)]
        audits = [
            (one.at, one.asked, one.out if owners.get(one.out) == (checkpoint, one.asked) else None)
            for one in own
            if isinstance(one, Audited)
        ]
        states[checkpoint] = (places[-1].name, places[0].at, audits)
    return states


FACTS = st.lists(
    st.one_of(
        st.builds(found, st.sampled_from("abc"), st.integers(0, 5), name=st.sampled_from("xyz")),
        st.builds(audited, st.sampled_from("abc"), st.integers(0, 5), st.sampled_from(["/o", "/p", None]),
                  st.sampled_from("qr")),
    ),
    max_size=12,
)  # fmt: skip


@given(FACTS)
def test_facts_count_in_the_order_in_which_they_were_told(facts: list[Fact]) -> None:
    taken = {
        entry.checkpoint: (entry.name, entry.since, [(one.at, one.asked, one.out) for one in entry.audits])
        for entry in ledger(*facts).entries()
    }
    assert taken == by_hand(facts)
