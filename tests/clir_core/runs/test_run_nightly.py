"""The night's judgements on a registry written by hand: what cannot be compared, and a night that was cut off."""

import shutil
from pathlib import Path

import pytest

from clir_core.audit.spec import AuditSpec
from clir_core.errors import NightlyError, SpecError
from clir_core.registry.facts import Audited, Found
from clir_core.registry.facts_file import NAME, FactsFile
from clir_core.registry.nightly import Due, Judged, NightlySpec, NightlySummary
from clir_core.registry.registry import Registry
from clir_core.registry.watch import Family, WatchList
from clir_core.runs.audit import audit
from clir_core.runs.here import Here
from clir_core.runs.nightly import BASELINE, check_night, find_due, judge, judged_before, read_night, register
from clir_core.runs.runner import Runner

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
    entry, fact, is_news = judge(NightlySpec(workspace=tmp_path), WATCH, due, ASKED, "", "me")
    assert (entry.name, fact.outcome, fact.by, is_news) == ("two", "failed", "me", True)
    assert str(tmp_path / "one") in fact.reason
    two = registry.find("two")
    assert [one.outcome for one in two.audits] == ["measured", "failed"]
    # its audit is there, so that the next night only judges
    assert two.audit(ASKED) == two.audits[0]


def test_a_failed_audit_is_told_once(registry: Registry, tmp_path: Path) -> None:
    due = Due(checkpoint=key("two"), name="two", baseline=None, audit=AuditSpec())
    spec = NightlySpec(workspace=tmp_path)
    told = [judge(spec, WATCH, due, ASKED, "No space.", "me") for _ in range(2)]
    assert [(fact.outcome, fact.reason, is_news) for _, fact, is_news in told] == [
        ("failed", "No space.", True),
        ("failed", "No space.", False),
    ]
    _, fact, _ = judge(spec, WATCH, due, "another question", "", "me")
    assert fact.outcome == "failed" and "its audit asked something else" in fact.reason


def test_a_night_that_was_cut_off_tells_what_it_judged_before(registry: Registry) -> None:
    add(registry, "one", "regressed", by="me")
    add(registry, "two", "unchanged", by="me")
    add(registry, "three", "unchanged", by="another")
    add(registry, "four", "unchanged", by="me", asked="another question")
    told = judged_before(registry.entries(), ASKED, {key("two")}, "me")
    assert [(one.name, one.outcome) for one in told] == [("one", "regressed")]


def test_a_night_with_failures_lists_them_in_the_end() -> None:
    fields = {"checkpoint": "c", "family": "e5", "reason": "no space"}
    outcomes = ("failed", "improved", "failed")
    judged = tuple(
        Judged.model_validate(fields | {"name": f"n{i}", "outcome": outcome}) for i, outcome in enumerate(outcomes)
    )
    check_night(NightlySummary(judged=judged[1:2], known=1, waiting=(), problems=()))
    with pytest.raises(NightlyError, match=r"2 of the night's checks failed, the other 1 audits are done") as error:
        check_night(NightlySummary(judged=judged, known=1, waiting=(), problems=()))
    assert str(error.value).splitlines()[1:] == ["  - n0: no space", "  - n2: no space"]


def test_a_night_whose_clusters_the_corpus_lacks_is_refused(tmp_path: Path) -> None:
    watch = tmp_path / "watch.yaml"
    text = "version: 1\naudit: {cluster: UNIT}\nfamilies: [{name: e5, sources: [{kind: aligned}]}]\n"
    watch.write_text(text.replace("UNIT", "topic"), "utf-8")
    assert read_night(NightlySpec(watch=watch, workspace=tmp_path))[0].audit.cluster == "topic"
    watch.write_text(text.replace("UNIT", "article"), "utf-8")
    with pytest.raises(SpecError, match="cluster 'article': the queries of corpus demo have no such column"):
        read_night(NightlySpec(watch=watch, workspace=tmp_path))


def test_a_night_asks_what_its_audits_register(tiny_model: Path, tmp_path: Path) -> None:
    """Also where passages that were seen leave the pools, which is another corpus than the whole."""
    watch = tmp_path / "watch.yaml"
    said = "audit: {corpus: 'demo#test', seen: ['demo#fit', 'demo#dev'], languages: [de]}"
    watch.write_text(f"version: 1\n{said}\nfamilies: [{{name: e5, sources: [{{kind: aligned}}]}}]\n", "utf-8")
    found, corpus = read_night(NightlySpec(watch=watch, workspace=tmp_path))
    asked = found.audit.model_copy(update={"model": str(tiny_model), "workspace": tmp_path})
    made = audit(asked, Here(), Runner())
    assert made.entry.audit(found.audit.asked(corpus.fingerprint()))


def test_a_night_reads_every_fact_once(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many checkpoints it finds, and whether it knows them or not."""
    for name in "abc":
        place = tmp_path / "incoming" / name
        shutil.copytree(tiny_model, place)
        (place / "extra_config.json").write_text(f'"{name}"', "utf-8")
    source = {"kind": "directory", "path": "incoming", "settle": 0}
    families = [{"name": name, "baseline": str(tiny_model), "sources": [source, {"kind": "aligned"}]} for name in "fg"]
    watch = WatchList.model_validate({"version": 1, "families": families})
    read: list[int] = []
    inner = FactsFile.fact
    monkeypatch.setattr(FactsFile, "fact", lambda self, row: read.append(row[0]) or inner(self, row))
    for _ in range(2):
        discovered, due, known = find_due(NightlySpec(workspace=tmp_path), watch, ASKED)
        assert (len(discovered.seen), len(due), known) == (6, 4, 0)
    for one in due:
        judge(NightlySpec(workspace=tmp_path), watch, one, ASKED, "No space.", "me")
    Registry(tmp_path).entries()
    rows = FactsFile(tmp_path / "registry" / NAME).rows(1)
    assert sorted(read) == [number for number, _, _ in rows] and len(rows) > 8


def test_several_families_may_share_a_baseline(registry: Registry) -> None:
    def family_after(family: str, source: str) -> str:
        fact = Found(checkpoint=key("base"), name="base", ref="hf:org/base@1", family=family, source=source)
        register(registry, fact)
        entry = registry.get(key("base"))
        assert entry
        return entry.found.family

    # who audited it by hand did not know the family
    assert family_after("base", "audit") == "base"
    assert family_after("e5", BASELINE) == "e5"
    assert family_after("other", BASELINE) == "e5"
    # a watch list that names another family for its place
    assert family_after("renamed", "incoming") == "renamed"
    assert family_after("e5", BASELINE) == "renamed"


def test_a_checkpoint_of_before_is_not_found_anew(registry: Registry) -> None:
    """Its place, its family and what was said of it come under today's fingerprint."""
    place = registry.directory.parent / "one"
    today = {"checkpoint": "today", "formerly": key("one"), "name": "copy", "ref": str(place), "source": "incoming"}
    for _ in range(2):
        register(registry, Found.model_validate(today | {"family": "e5"}))
        entry = registry.get(key("one"))
        assert entry and entry == registry.get("today") and entry.checkpoint == "today"
        assert [one.outcome for one in entry.audits] == ["measured"]
    assert [entry.checkpoint for entry in registry.entries()] == ["today", key("two")]
    register(registry, Found.model_validate(today | {"family": "other"}))
    assert [one.found.family for one in registry.entries()] == ["other", "e5"]
