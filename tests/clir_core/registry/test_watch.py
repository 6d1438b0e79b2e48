"""The watch list: what a good one means, and that a wrong one is refused with file, place and value."""

from pathlib import Path

import pytest

from clir_core.audit.spec import AuditSpec
from clir_core.errors import ClirError, SpecError, StoreError
from clir_core.registry.watch import (
    AlignedSource,
    DirectorySource,
    HubSource,
    ReferenceSource,
    WatchList,
    read_watch_list,
)

GOOD = """
version: 1
audit:
  corpus: demo#test
  languages: [de, ar]
gate:
  metric: ndcg@10
  margin: 0.02
families:
  - name: e5
    baseline: hf:org/e5@v1
    sources:
      - {kind: directory, path: incoming, settle: 5}
      - {kind: directory, path: "s3://bucket/e5", marker: DONE}
      - {kind: hub, repo: org/e5-tuned, revisions: all}
      - {kind: aligned}
  - name: other
    sources: [{kind: hub, repo: org/other}]
"""
LEAST = "version: 1\nfamilies:\n  - name: e5\n    sources:\n      - kind: aligned\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watch.yaml"


def read(path: Path, text: str) -> WatchList:
    path.write_text(text, "utf-8")
    return read_watch_list(path)


def refused(path: Path, text: str, *parts: str, kind: type[ClirError] = SpecError) -> str:
    """The file is refused by its name, with a message that holds every part."""
    with pytest.raises(kind) as caught:
        read(path, text)
    for part in (str(path), *parts):
        assert part in str(caught.value)
    return str(caught.value)


def test_a_good_file_means_what_it_says(path: Path) -> None:
    watch = read(path, GOOD)
    assert (watch.audit.corpus, watch.audit.languages) == ("demo#test", ("de", "ar"))
    assert (watch.gate.metric, watch.gate.margin) == ("ndcg@10", 0.02)
    e5, other = watch.families
    assert (e5.name, e5.baseline, other.name, other.baseline) == ("e5", "hf:org/e5@v1", "other", None)
    assert e5.sources == (
        DirectorySource(path="incoming", settle=5),
        DirectorySource(path="s3://bucket/e5", marker="DONE"),
        HubSource(repo="org/e5-tuned", revisions="all"),
        AlignedSource(),
    )
    assert other.sources == (HubSource(repo="org/other", revisions="tags"),)
    assert [str(source) for source in e5.sources] == ["incoming", "s3://bucket/e5", "hf:org/e5-tuned", "align"]


def test_what_is_not_said_has_defaults(path: Path) -> None:
    watch = read(path, LEAST)
    assert watch.audit == AuditSpec()
    assert (watch.gate.metric, watch.gate.margin) == ("complete@10", 0.01)


def test_the_projects_own_watch_list_is_good() -> None:
    watch = read_watch_list(Path(__file__).parents[3] / "deployments" / "watch.yaml")
    assert DirectorySource(path="incoming") in watch.families[0].sources


def test_yamls_merging_still_works(path: Path) -> None:
    text = LEAST + "  - &base\n    name: a\n    sources: [{kind: aligned}]\n  - {<<: *base, name: b}\n"
    assert [family.name for family in read(path, text).families] == ["e5", "a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("version: 1", "version: 2", ("version: ", "should be 1", "not 2")),
        ("version: 1", "", ("version: ", "required")),
        ("corpus: demo#test", "corpora: demo", ("audit.corpora: there is no such field ('demo')",)),
        ("languages: [de, ar]", "languages: de", ("audit.languages: ", "not 'de'")),
        ("languages: [de, ar]", "model: bundled:x", ("audit: ", "model", "leave it out")),
        ("languages: [de, ar]", "workspace: /x", ("audit: ", "workspace", "leave it out")),
        ("languages: [de, ar]", "min_retrieval: 5", ("audit.min_retrieval: ", "1", "not 5")),
        ("languages: [de, ar]", "cluster: ''", ("audit.cluster: ", "at least 1 character", "not ''")),
        ("margin: 0.02", "margin: 2", ("gate.margin: ", "not 2")),
        ("margin: 0.02", "marign: 0.02", ("gate.marign: there is no such field (0.02)",)),
        ("name: e5\n", "name: e 5\n", ("families.0.name: ", "not 'e 5'")),
        ("name: other", "name: e5", ("families: ", "two families are called 'e5'", "rename")),
        ("kind: directory, path: incoming", "path: incoming", ("families.0.sources.0: ", "kind")),
        ("kind: directory, path: incoming", "kind: s3, path: x", ("families.0.sources.0: ", "'s3'", "'directory'")),
        ("path: incoming", "path: ''", ("families.0.sources.0.path: ", "not ''")),
        ("path: incoming", "path: 7", ("families.0.sources.0.path: ", "not 7")),
        ("path: incoming, settle: 5", "settle: 5", ("families.0.sources.0.path: ", "required")),
        ("settle: 5", "settle: -5", ("families.0.sources.0.settle: ", "not -5")),
        ("settle: 5", "settle: .inf", ("families.0.sources.0.settle: ", "finite", "not inf")),
        ("settle: 5", "settle: soon", ("families.0.sources.0.settle: ", "not 'soon'")),
        ("settle: 5", "revisions: all", ("families.0.sources.0.revisions: there is no such field ('all')",)),
        ("repo: org/other", "repo: other", ("families.1.sources.0.repo: ", "not 'other'")),
        ("repo: org/other", "repo: org/a@v1", ("families.1.sources.0.repo: ", "not 'org/a@v1'")),
        ("revisions: all", "revisions: tag", ("families.0.sources.2.revisions: ", "'tags'", "not 'tag'")),
        ("sources: [{kind: hub, repo: org/other}]", "sources: []", ("families.1.sources: ", "at least 1")),
        ("sources: [{kind: hub, repo: org/other}]", "", ("families.1.sources: ", "required")),
    ],
)
def test_a_wrong_value_is_named_with_its_place(old: str, new: str, parts: tuple[str, ...], path: Path) -> None:
    assert GOOD.count(old) == 1
    told = refused(path, GOOD.replace(old, new), "docs/operations.md", *parts)
    assert told.count("\n  - ") == 1


def test_every_problem_is_named_at_once(path: Path) -> None:
    text = GOOD.replace("version: 1", "version: 3").replace("settle: 5", "settle: x").replace("margin", "marign")
    told = refused(path, text, "version: ", "gate.marign: ", "families.0.sources.0.settle: ")
    assert told.count("\n  - ") == 3


def test_a_password_in_an_address_is_refused_and_not_repeated(path: Path) -> None:
    told = refused(path, GOOD.replace("s3://bucket/e5", "s3://AKIA:hush@bucket/e5"), "families.0.sources.1.path: ")
    assert "hush" not in told and "environment" in told
    for fine in ("gs://anonymous@bucket/e5", "abfs://container@account/e5", "s3://bucket/a:b@c"):
        assert str(read(path, GOOD.replace("s3://bucket/e5", fine)).families[0].sources[1]) == fine


def test_a_model_by_its_reference_holds_no_secret_and_is_no_directory(path: Path) -> None:
    text = LEAST.replace("kind: aligned", "{kind: reference, ref: 'http://h/v1#m'}")
    assert read(path, text).families[0].sources == (ReferenceSource(ref="http://h/v1#m"),)
    told = refused(path, text.replace("//h", "//me:hush@h"), "families.0.sources.0.ref: ", "CLIR_EMBEDDINGS_KEY")
    assert "hush" not in told
    refused(path, text.replace("http://h/v1#m", "/models/e5"), "families.0.sources.0.ref: ", "/models/e5")


@pytest.mark.parametrize("text", ["version: 1\nfamilies: [", "\tversion: 1", "a: b: c", "x: !!python/object:os.x {}"])
def test_what_is_no_yaml_is_named_with_its_line(text: str, path: Path) -> None:
    assert "\n" not in refused(path, text, "is no YAML", "line")


def test_a_key_that_stands_there_twice_is_refused_rather_than_half_forgotten(path: Path) -> None:
    refused(path, LEAST + "families: []\n", "'families' stands there twice", "line 6")
    refused(path, LEAST.replace("name: e5", "name: a\n    name: b"), "'name' stands there twice", "line 4")


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "just words", "3"])
def test_what_is_no_mapping_is_refused(text: str, path: Path) -> None:
    refused(path, text, "is no watch list", "the file: ")


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(StoreError, match=f"{path}: cannot be read"):
        read_watch_list(path)
    path.write_bytes(b"version: \xff")
    with pytest.raises(StoreError, match=f"{path}: cannot be read"):
        read_watch_list(path)
    with pytest.raises(StoreError, match=f"{path.parent}: cannot be read"):
        read_watch_list(path.parent)
