"""The night's judgements on a registry written by hand: what cannot be compared, and a night that was cut off."""

from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from clir_core.audit.spec import AuditSpec
from clir_core.registry.facts import Audited, Found
from clir_core.registry.nightly import Due, NightlySpec
from clir_core.registry.registry import Registry
from clir_core.registry.watch import Family, WatchList
from tasks import nightly as steps

ASKED = "q" * 64
FAMILY = {"name": "e5", "sources": [{"kind": "aligned"}]}
WATCH = WatchList(version=1, families=(Family.model_validate(FAMILY),))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(tmp_path)
    for name in ("one", "two"):
        add(found, name, "measured")
    return found


def key(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def add(registry: Registry, name: str, outcome: str, by: str = "", asked: str = ASKED) -> None:
    if not registry.get(key(name)):
        registry.add(Found(checkpoint=key(name), name=name, ref=f"/models/{name}", family="e5", source="incoming"))
    out = registry.directory.parent / name
    out.mkdir(exist_ok=True)
    (out / "audit.json").write_text("{}", "utf-8")
    fact = {"checkpoint": key(name), "asked": asked, "corpus": "demo", "outcome": outcome, "out": out, "by": by}
    registry.add(Audited.model_validate(fact))


def test_what_cannot_be_compared_fails_alone(registry: Registry, tmp_path: Path) -> None:
    due = Due(checkpoint=key("two"), name="two", baseline=key("one"), audit=AuditSpec())
    with disable_run_logger():
        judged = steps.judge.fn(NightlySpec(workspace=tmp_path), WATCH, due, ASKED, "")
    assert judged.outcome == "failed" and str(tmp_path / "one") in judged.reason
    two = registry.find("two")
    assert [one.outcome for one in two.audits] == ["measured", "failed"]
    # its audit is there, so that the next night only judges
    assert two.audit(ASKED) == two.audits[0]


@pytest.mark.parametrize(("attempt", "names"), [("1", []), ("2", ["one"])])
def test_a_night_that_was_cut_off_tells_what_it_judged_before(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, attempt: str, names: list[str]
) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", "quiet-owl")
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", attempt)
    add(registry, "one", "regressed", by="flow run quiet-owl")
    add(registry, "two", "unchanged", by="flow run quiet-owl")
    add(registry, "three", "unchanged", by="flow run loud-owl")
    add(registry, "four", "unchanged", by="flow run quiet-owl", asked="another question")
    found = steps.judged_before(registry.entries(), ASKED, {key("two")})
    assert [one.name for one in found] == names
    assert [one.outcome for one in found] == ["regressed"] * len(names)


def test_several_families_may_share_a_baseline(registry: Registry) -> None:
    def register(family: str, source: str) -> str:
        fact = Found(checkpoint=key("base"), name="base", ref="hf:org/base@1", family=family, source=source)
        steps._register(registry, fact)
        entry = registry.get(key("base"))
        assert entry
        return entry.found.family

    # who audited it by hand did not know the family
    assert register("base", "audit") == "base"
    assert register("e5", steps.BASELINE) == "e5"
    assert register("other", steps.BASELINE) == "e5"
    # a watch list that names another family for its place
    assert register("renamed", "incoming") == "renamed"
    assert register("e5", steps.BASELINE) == "renamed"
