"""Where checkpoints may lie: in the workspace, at an address, out of reach; and what a store's objects become here."""

import shutil
import threading
from pathlib import Path

import fsspec
import pytest
from checkpoint_files import LAYERS, PLAIN, Files, weights, write
from pyarrow import fs

from clir_core.errors import StoreError
from clir_core.model.checkpoint import EncodingSpec, resolve
from clir_core.registry.places import Checkpoints
from clir_core.workspace.deadline import within


def test_a_relative_path_lies_in_the_workspace_and_is_made(tmp_path: Path) -> None:
    assert Checkpoints.at("incoming/here", tmp_path).places == []
    write(tmp_path / "incoming" / "here" / "m", PLAIN)
    found = Checkpoints.at("incoming/here", tmp_path)
    assert found.places == [str(tmp_path / "incoming" / "here" / "m")]
    assert found.local(found.places[0]) == tmp_path / "incoming" / "here" / "m"


def test_a_file_uri_is_taken_in_place(tmp_path: Path) -> None:
    directory = write(tmp_path / "in" / "m", PLAIN)
    found = Checkpoints.at(f"file://{tmp_path}/in", tmp_path / "ws")
    assert found.lacks(found.places[0], 60, None) == ""
    assert found.local(found.places[0]) == directory
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{tmp}/gone", "cannot be listed"),
        ("{tmp}/file", "cannot be listed"),
        ("~nobody-of-this-name/in", "cannot be read"),
        ("nope://bucket/prefix", "Unrecognized filesystem"),
        ("file://{tmp}/gone", "cannot be listed"),
        ("file://relative/in", "no place that can be read"),
        ("mock:///gone", "cannot be listed"),
        ("gs://anonymous@b/p?endpoint_override=127.0.0.1:1&scheme=http&retry_limit_seconds=0.1", "cannot be listed"),
    ],
)
def test_a_place_out_of_reach_is_named_with_its_reason(path: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=reason):
        Checkpoints.at(path.format(tmp=tmp_path), tmp_path / "ws")


def test_a_place_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"s3://b/p: no answer for 0\.05 s"):
        within(0.05, "s3://b/p", threading.Event().wait)
    assert within(60, "here", lambda: 7) == 7
    with pytest.raises(TimeoutError, match="its own"):
        within(60, "here", lambda: (_ for _ in ()).throw(TimeoutError("its own")))


# an object store's files, brought here


class Store:
    """A store of objects behind pyarrow's interface: a directory that nobody here may know the path of."""

    def __init__(self, directory: Path) -> None:
        self.objects, self.fetched = directory / "objects", directory / "fetched"
        (self.objects / "bucket" / "models").mkdir(parents=True)
        self.files = fs.SubTreeFileSystem(str(self.objects), fs.LocalFileSystem())

    def write(self, place: str, files: Files, age: float = 1000) -> None:
        write(self.objects / place, files, age)

    def look(self) -> Checkpoints:
        return Checkpoints(self.files, "bucket/models", self.fetched)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_a_stores_checkpoint_is_fetched_as_it_is(store: Store) -> None:
    store.write("bucket/models/v1", {**LAYERS, ".git/x": b"x"})
    store.write("bucket/models/v1/checkpoint-5", PLAIN)
    found = store.look()
    assert found.places == ["bucket/models/v1", "bucket/models/v1/checkpoint-5"]
    assert [found.lacks(place, 0, None) for place in found.places] == ["", ""]
    local = found.local(found.places[0])
    assert local.name == "v1" and contents(local) == LAYERS
    assert contents(found.local(found.places[1])) == PLAIN
    assert resolve(str(local), EncodingSpec(), Path("/dev/null"), "float32").name == "v1"


def test_it_is_fetched_once_for_every_state(store: Store) -> None:
    store.write("bucket/models/v1", PLAIN)
    first = store.look().local("bucket/models/v1")
    (first / "witness").write_text("fetched again, this would be gone")
    assert store.look().local("bucket/models/v1") == first and (first / "witness").exists()
    store.write("bucket/models/v1", {"model.safetensors": weights(2.0)}, age=900)  # as many bytes
    second = store.look().local("bucket/models/v1")
    assert second != first and contents(second)["model.safetensors"] == weights(2.0)
    assert contents(first)["model.safetensors"] == weights(1.0)


def test_what_a_killed_fetch_left_is_no_checkpoint(store: Store) -> None:
    store.write("bucket/models/v1", PLAIN)
    local = store.look().local("bucket/models/v1")
    shutil.rmtree(local)
    left = local.parent / f".{local.name}~1"
    write(left / local.name, {"config.json": b"half", "other": b"x"})
    assert contents(store.look().local("bucket/models/v1")) == PLAIN
    assert not left.exists()


def test_what_changes_while_it_is_fetched_is_not_taken(store: Store) -> None:
    store.write("bucket/models/v1", PLAIN)
    found = store.look()
    store.write("bucket/models/v1", {"model.safetensors": weights(2.0)}, age=900)
    with pytest.raises(StoreError, match="changed while it was fetched"):
        found.local("bucket/models/v1")
    assert contents(store.look().local("bucket/models/v1"))["model.safetensors"] == weights(2.0)


def test_what_vanishes_while_it_is_fetched_is_not_taken(store: Store) -> None:
    store.write("bucket/models/v1", PLAIN)
    found = store.look()
    (store.objects / "bucket/models/v1/config.json").unlink()
    with pytest.raises(StoreError, match=r"^bucket/models/v1: "):
        found.local("bucket/models/v1")


def test_two_runs_that_fetch_the_same_at_once_get_the_same(store: Store) -> None:
    store.write("bucket/models/v1", LAYERS)
    got: list[Path] = []
    runs = [threading.Thread(target=lambda: got.append(store.look().local("bucket/models/v1"))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert len(got) == 4 and len(set(got)) == 1 and contents(got[0]) == LAYERS


def test_a_stores_weights_that_are_cut_off_are_seen_without_fetching(store: Store) -> None:
    store.write("bucket/models/v1", {**PLAIN, "model.safetensors": PLAIN["model.safetensors"][:-1]})
    assert "model.safetensors: has" in store.look().lacks("bucket/models/v1", 0, None)
    assert not store.fetched.exists()


def test_a_store_without_times_needs_a_marker(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    for name, data in {**PLAIN, "DONE": b""}.items():
        memory.pipe(f"/{tmp_path.name}/v1/{name}", data)
    found = Checkpoints(fs.PyFileSystem(fs.FSSpecHandler(memory)), f"/{tmp_path.name}", tmp_path)
    (place,) = found.places
    assert found.lacks(place, 60, None) == "its files carry no times; give this source a marker"
    assert found.lacks(place, 60, "DONE") == ""
    assert contents(found.local(place)) == {**PLAIN, "DONE": b""}
