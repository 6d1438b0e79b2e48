"""What sources hold: directories, what align registered, and a hub that is asked over HTTP by its real client."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from select import select

import hub_stub
import numpy as np
import pytest
from checkpoint_files import LAYERS, PLAIN, Files, as_json, write
from hub_stub import Hub

from clir_core.errors import StoreError
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder
from clir_core.registry.discovery import Discovered, Problem, Seen, discover
from clir_core.registry.facts import Found
from clir_core.registry.places import Checkpoints
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList

README = {"README.md": b"# A model"}


def watching(*sources: object, **families: list[object]) -> WatchList:
    """Families of sources; a lone list of sources is the family `demo`."""
    every = families or {"demo": list(sources)}
    return WatchList(version=1, families=[{"name": name, "sources": found} for name, found in every.items()])


def directory(path: Path | str, **options: object) -> dict[str, object]:
    return {"kind": "directory", "path": str(path), **options}


def load(ref: Path | str) -> Checkpoint:
    return resolve(str(ref), EncodingSpec(), Path("/dev/null"), "float32")


# directories


def test_a_directorys_complete_checkpoints_are_seen_and_the_others_wait(tmp_path: Path) -> None:
    write(tmp_path / "in" / "v1", LAYERS)
    write(tmp_path / "in" / "v2", PLAIN, age=5)
    found = discover(watching(directory(tmp_path / "in")), tmp_path / "ws")
    assert found.seen == (
        Seen(ref=str(tmp_path / "in" / "v1"), label="v1", family="demo", source=str(tmp_path / "in")),
    )
    (waits,) = found.waiting
    assert waits.place == str(tmp_path / "in" / "v2") and "settles for 60 s" in waits.reason
    assert found.problems == ()


def test_every_familys_sources_are_looked_at_with_their_own_rules(tmp_path: Path) -> None:
    write(tmp_path / "ws" / "incoming" / "v1", PLAIN, age=5)
    write(tmp_path / "other" / "v1", PLAIN, age=5)
    write(tmp_path / "other" / "v2", {**PLAIN, "DONE": b""}, age=0)
    found = discover(
        watching(a=[directory("incoming", settle=1)], b=[directory(tmp_path / "other", marker="DONE")]),
        tmp_path / "ws",
    )
    assert [(one.family, one.label) for one in found.seen] == [("a", "v1"), ("b", "v2")]
    assert [waits.reason for waits in found.waiting] == ["its marker DONE is not there"]


def test_a_source_out_of_reach_stops_no_other(tmp_path: Path) -> None:
    write(tmp_path / "in" / "v1", PLAIN)
    gone, unknown = directory(tmp_path / "gone"), directory("nope://bucket/prefix")
    found = discover(watching(a=[gone, unknown, directory(tmp_path / "in")], b=[directory(tmp_path / "in")]), tmp_path)
    assert [(one.family, one.label) for one in found.seen] == [("a", "v1"), ("b", "v1")]
    first, second = found.problems
    assert first.place == f"a, {tmp_path}/gone" and "cannot be listed" in first.reason
    assert second.place == "a, nope://bucket/prefix" and "s3://" in second.reason


def test_a_checkpoint_that_cannot_be_fetched_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("v1", "v2", "v3"):
        write(tmp_path / "in" / name, PLAIN)

    def local(self: Checkpoints, place: str) -> Path:
        if place.endswith("v2"):
            raise StoreError(f"{place}: no space left")
        return Path(place)

    monkeypatch.setattr(Checkpoints, "local", local)
    found = discover(watching(directory(tmp_path / "in")), tmp_path)
    assert [one.label for one in found.seen] == ["v1", "v3"]
    assert [problem.reason for problem in found.problems] == [f"{tmp_path}/in/v2: no space left"]


def test_the_same_weights_under_two_paths_are_one_checkpoint(tmp_path: Path) -> None:
    for name in ("in/v1", "in/sub/copy", "else/where"):
        write(tmp_path / name, LAYERS)
    write(tmp_path / "in" / "v1", README)
    found = discover(watching(directory(tmp_path / "in"), directory(tmp_path / "else")), tmp_path)
    assert [one.label for one in found.seen] == ["copy", "v1", "where"]
    assert len({load(one.ref).digest for one in found.seen}) == 1


# what align registered


@pytest.mark.parametrize(("ref", "label"), [("vectors:/x/run7", "run7"), ("http://h:8000/v1#org/m", "org/m")])
def test_a_reference_is_seen_whatever_it_holds(ref: str, label: str, tmp_path: Path) -> None:
    found = discover(watching({"kind": "reference", "ref": ref}), tmp_path)
    assert found.seen == (Seen(ref=ref, label=label, family="demo", source=ref),)


def test_what_align_registered_in_the_family_is_seen_while_it_is_there(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    there = write(tmp_path / "aligned" / "a", PLAIN)
    facts = [
        ("1", there, "demo", "run1"),
        ("2", tmp_path / "gone", "demo", "run2"),
        ("3", there, "other", "run3"),
        ("4", there, "demo", None),  # found by a nightly run
        ("5", there, "as-it-was-called", "run5"),  # its base is in the family by now
    ]
    for digit, path, family, run in facts:
        parent = "4" * 64 if digit == "5" else None
        registry.add(
            Found(
                checkpoint=digit * 64,
                name=f"m{digit}",
                ref=str(path),
                family=family,
                source="x",
                run=run,
                parent=parent,
            )
        )
    found = discover(watching({"kind": "aligned"}), tmp_path)
    assert found.seen == tuple(Seen(ref=str(there), label=m, family="demo", source="align") for m in ("m1", "m5"))
    assert found.waiting == ()  # one that was removed is no news
    assert discover(watching({"kind": "aligned"}), tmp_path / "new") == Discovered(seen=(), waiting=(), problems=())


# a hub. Its address is read when its client is imported, so another process asks

CLIENT = """
import json, sys
from pathlib import Path
from clir_core.registry.discovery import discover
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.registry.watch import WatchList

for line in sys.stdin:
    found = discover(WatchList.model_validate_json(line), Path("/nowhere"))
    checkpoints = [resolve(one.ref, EncodingSpec(), Path("/dev/null"), "float32") for one in found.seen]
    told = {"found": found.model_dump(mode="json"), "checkpoints": [one.model_dump(mode="json") for one in checkpoints]}
    print(json.dumps(told), flush=True)
"""


class Client:
    """A process in which the hub's client is online, at the stub's address."""

    def __init__(self, hub: Hub, home: Path) -> None:
        self.hub = hub
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self, *sources: object) -> tuple[Discovered, list[Checkpoint]]:
        """What is discovered, and every checkpoint of it, resolved."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(watching(*sources).model_dump_json(exclude={"audit"}) + "\n")
        self.process.stdin.flush()
        assert select([self.process.stdout], [], [], 120)[0], "the client says nothing"
        told = json.loads(self.process.stdout.readline())
        return Discovered(**told["found"]), [Checkpoint(**one) for one in told["checkpoints"]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with hub_stub.serve() as hub:
        client = Client(hub, tmp_path_factory.mktemp("hf"))
        yield client
        client.process.communicate()


def on_hub(repo: str, **options: object) -> dict[str, object]:
    return {"kind": "hub", "repo": repo, **options}


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Files:
    return hub_stub.files_of(tiny_model)


def test_a_tag_is_found_pinned_to_its_commit_and_can_be_audited(client: Client, tiny: Files, tiny_model: Path) -> None:
    commit = client.hub.push("org/tiny", {**tiny, **README}, tag="v1.0")
    found, (checkpoint,) = client.look(on_hub("org/tiny"))
    pinned = f"hf:org/tiny@{commit}"
    assert found.seen == (Seen(ref=pinned, label="org/tiny@v1.0", family="demo", source="hf:org/tiny"),)
    assert found.waiting == found.problems == ()
    assert re.fullmatch("[0-9a-f]{40}", commit) and (checkpoint.ref, checkpoint.name) == (pinned, "org/tiny")
    # the same checkpoint as the directory that was pushed, to the last bit of its vectors
    local = load(tiny_model)
    assert checkpoint.digest == local.digest
    texts = ("Where do bees live?", "Wo leben Bienen?")
    vectors, expected = (load_encoder(one, "cpu").encode(texts, "query") for one in (checkpoint, local))
    np.testing.assert_array_equal(vectors, expected)


def test_a_new_tag_is_found_and_what_was_fetched_is_not_fetched_again(client: Client) -> None:
    hub = client.hub
    first = hub.push("org/grows", LAYERS, tag="v1")
    client.look(on_hub("org/grows"))
    assert any(f"GET /org/grows/resolve/{first}/model.safetensors" in asked for asked in hub.asked)
    hub.asked.clear()
    second = hub.push("org/grows", {**LAYERS, "config.json": as_json({"model_type": "bert", "x": 1})}, tag="v2")
    found, (one, two) = client.look(on_hub("org/grows"))
    assert [seen.label for seen in found.seen] == ["org/grows@v1", "org/grows@v2"]
    assert (one.ref, two.ref) == (f"hf:org/grows@{first}", f"hf:org/grows@{second}")
    assert one.digest != two.digest
    fetched = [asked for asked in hub.asked if "/resolve/" in asked]
    assert fetched and not any(first in asked for asked in fetched)


def test_a_tag_that_moves_is_another_checkpoint(client: Client) -> None:
    client.hub.push("org/moves", PLAIN, tag="latest")
    _, (before,) = client.look(on_hub("org/moves"))
    commit = client.hub.push("org/moves", LAYERS, tag="latest")
    _, (after,) = client.look(on_hub("org/moves"))
    assert after.ref == f"hf:org/moves@{commit}" and before.digest != after.digest


def test_other_tags_on_the_same_weights_are_the_same_checkpoint(client: Client) -> None:
    commit = client.hub.push("org/twice", LAYERS, tag="v1")
    client.hub.repositories["org/twice"].tags["v1.0"] = commit
    client.hub.push("org/twice", {**LAYERS, **README}, tag="v1.0.1")
    found, checkpoints = client.look(on_hub("org/twice"))
    assert [seen.label for seen in found.seen] == [f"org/twice@{tag}" for tag in ("v1", "v1.0", "v1.0.1")]
    assert len({one.ref for one in checkpoints}) == 2 and len({one.digest for one in checkpoints}) == 1


def test_a_revision_that_holds_no_complete_checkpoint_waits(client: Client) -> None:
    client.hub.push("org/empty", README, tag="v0")
    client.hub.push("org/empty", {**README, "config.json": b"{}", "pytorch_model.bin": b"x"}, tag="v0.1")
    client.hub.push("org/empty", {**LAYERS, **README}, tag="v1")
    found, _ = client.look(on_hub("org/empty"))
    assert [seen.label for seen in found.seen] == ["org/empty@v1"]
    assert [waits.place for waits in found.waiting] == ["org/empty@v0", "org/empty@v0.1"]
    assert "config.json" in found.waiting[0].reason and "no tokenizer" in found.waiting[1].reason
    assert not found.problems


@pytest.mark.parametrize(
    ("revisions", "labels"), [("tags", ["v1"]), ("branches", ["main", "try/it"]), ("all", ["v1", "main", "try/it"])]
)
def test_tags_or_branches_count_as_asked(revisions: str, labels: list[str], client: Client) -> None:
    client.hub.push("org/refs", PLAIN, tag="v1")
    client.hub.push("org/refs", LAYERS, branch="try/it")
    found, _ = client.look(on_hub("org/refs", revisions=revisions))
    assert [seen.label for seen in found.seen] == [f"org/refs@{label}" for label in labels]


def test_a_repository_that_is_gone_is_a_problem_and_stops_no_other(client: Client) -> None:
    client.hub.push("org/there", PLAIN, tag="v1")
    client.hub.push("org/goes", PLAIN, tag="v1")
    assert len(client.look(on_hub("org/goes"))[0].seen) == 1
    del client.hub.repositories["org/goes"]
    found, _ = client.look(on_hub("org/goes"), on_hub("org/there"))
    assert [seen.label for seen in found.seen] == ["org/there@v1"]
    (problem,) = found.problems
    assert problem.place == "demo, hf:org/goes"
    for part in ("hf:org/goes: ", "RepositoryNotFoundError", "check the name", "HF_ENDPOINT"):
        assert part in problem.reason


def test_a_hub_that_may_not_be_asked_is_a_problem(tmp_path: Path) -> None:
    found = discover(watching(on_hub("org/any")), tmp_path)
    assert isinstance(found.problems[0], Problem) and "offline" in found.problems[0].reason.lower()
