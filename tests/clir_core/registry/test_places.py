"""What counts as a checkpoint, and when it is complete: written by hand, cut off, and built up file by file."""

import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_files import (
    ADAPTED,
    ADAPTER,
    FOLDERS,
    LAYERS,
    PARTS,
    PLAIN,
    ROUTER,
    SHARDS,
    Files,
    as_json,
    made_ago,
    weights,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_core.registry.places import Checkpoints

LAYOUTS = {
    "plain": PLAIN, "layers": LAYERS, "folders": FOLDERS, "shards": SHARDS, "router": ROUTER, "adapter": ADAPTER,
    "adapter with modules": ADAPTED,
}  # fmt: skip
DATA = weights()


def look(root: Path) -> Checkpoints:
    return Checkpoints.at(str(root), Path("/nowhere"))


def lacks(directory: Path, settle: float = 60, marker: str | None = None) -> str:
    """Of a checkpoint, looked at in the folder that it lies in."""
    return look(directory.parent).lacks(str(directory), settle, marker)


def places(root: Path) -> list[str]:
    return [str(Path(place).relative_to(root)) for place in look(root).places]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """For properties, which share a function's tmp_path between examples."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


# complete or not


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_one_complete_checkpoint(files: Files, tmp_path: Path) -> None:
    write(tmp_path / "in" / "m", files)
    assert places(tmp_path / "in") == ["m"]
    assert lacks(tmp_path / "in" / "m") == ""


def test_a_real_checkpoint_is_complete(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "in" / "tiny")
    assert places(tmp_path / "in") == ["tiny"]
    assert lacks(tmp_path / "in" / "tiny", settle=0) == ""
    made_ago(tmp_path / "in" / "tiny", 100)
    assert lacks(tmp_path / "in" / "tiny") == ""


def test_the_watched_directory_may_be_the_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, LAYERS)
    assert look(tmp_path).places == [str(tmp_path)]
    assert look(tmp_path).lacks(str(tmp_path), 60, None) == ""


@pytest.mark.parametrize(
    ("files", "gone", "named"),
    [
        (PLAIN, "config.json", "neither config.json nor modules.json"),
        (PLAIN, "tokenizer.json", "no tokenizer"),
        (PLAIN, "model.safetensors", "*.safetensors"),
        (LAYERS, "modules.json", "modules.json is not"),
        (LAYERS, "config.json", "Transformer, whose config.json"),
        (LAYERS, "model.safetensors", "Transformer, whose weights"),
        (LAYERS, "1_Pooling/config.json", "1_Pooling, whose config.json"),
        (LAYERS, "2_Dense/model.safetensors", "2_Dense, whose weights"),
        (FOLDERS, "modules.json", "modules.json is not"),
        (FOLDERS, "0_Transformer/model.safetensors", "*.safetensors"),
        (FOLDERS, "0_Transformer/config.json", "0_Transformer, whose config.json"),
        (SHARDS, "model-00002-of-00002.safetensors", "lists model-00002-of-00002.safetensors"),
        (SHARDS, "model.safetensors.index.json", "model.safetensors.index.json is not there"),
        (ROUTER, "router_config.json", "a Router, whose router_config.json"),
        (ROUTER, "query_0/model.safetensors", "query_0, whose weights"),
        (ADAPTER, "adapter_config.json", "neither config.json nor modules.json"),
        (ADAPTER, "adapter_model.safetensors", "no weights are there"),
        (ADAPTED, "adapter_model.safetensors", "Transformer, whose weights"),
        (ADAPTED, "adapter_config.json", "Transformer, whose config.json"),
    ],
)
def test_what_is_missing_is_named(files: Files, gone: str, named: str, tmp_path: Path) -> None:
    write(tmp_path / "in" / "m", {name: data for name, data in files.items() if name != gone})
    assert places(tmp_path / "in") == ["m"]
    assert named in lacks(tmp_path / "in" / "m")


def test_pickles_are_no_weights(tmp_path: Path) -> None:
    write(tmp_path / "in" / "m", {name: data for name, data in PLAIN.items() if name != "model.safetensors"})
    write(tmp_path / "in" / "m", {"pytorch_model.bin": b"\x80\x04."})
    assert "no weights are there (*.safetensors)" in lacks(tmp_path / "in" / "m")


def test_nothing_is_in_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert places(tmp_path) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(DATA) - 1))
def test_weights_cut_off_anywhere_are_incomplete(scratch: Path, length: int) -> None:
    directory = write(scratch / "cut" / "m", PLAIN | {"model.safetensors": DATA[:length]})
    assert lacks(directory).startswith("model.safetensors: ")


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=50))
def test_weights_with_more_behind_them_are_no_good_either(scratch: Path, more: bytes) -> None:
    directory = write(scratch / "more" / "m", PLAIN | {"model.safetensors": DATA + more})
    assert f"has {len(DATA + more):,} of {len(DATA):,} bytes" in lacks(directory)


HEADERS = (
    b"",
    b"[]",
    b"null",
    b'{"a": 1}',
    b'{"a": {"data_offsets": [0]}}',
    b'{"a": {"data_offsets": [0, "x"]}}',
    b'{"a": {"data_offsets": [0, null]}}',
    b'{"a": {"data_offsets": [0, 1e999]}}',
    b'{"a": {"data_offsets": {}}}',
    b"[" * 100_000,
    b"\xff\xfe",
)


def test_headers_hold_what_json_allows(tmp_path: Path) -> None:
    header = as_json({"__metadata__": {"format": "pt"}})
    data = struct.pack("<Q", len(header)) + header
    assert lacks(write(tmp_path / "m", PLAIN | {"model.safetensors": data})) == ""


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:30]))
def test_a_header_that_says_nothing_is_a_reason_and_no_crash(header: bytes, tmp_path: Path) -> None:
    data = struct.pack("<Q", len(header)) + header
    assert "header is cut off" in lacks(write(tmp_path / "m", PLAIN | {"model.safetensors": data}))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_never_weights(scratch: Path, data: bytes) -> None:
    directory = write(scratch / "garbage" / "m", PLAIN | {"model.safetensors": data})
    assert lacks(directory).startswith("model.safetensors: ")


def test_a_pointer_of_git_lfs_is_never_weights(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
    assert "no safetensors file" in lacks(write(tmp_path / "m", PLAIN | {"model.safetensors": pointer}))


@pytest.mark.parametrize("data", [b"", b'{"weight_map"', b"[1]", b"{}", b'{"weight_map": [["x"]]}'])
def test_an_index_or_a_list_of_modules_that_is_cut_off_is_incomplete(data: bytes, tmp_path: Path) -> None:
    assert "index.json: is cut off" in lacks(
        write(tmp_path / "shards", SHARDS | {"model.safetensors.index.json": data})
    )
    assert "modules.json is cut off" in lacks(write(tmp_path / "layers", LAYERS | {"modules.json": data}))


def test_an_index_may_lie_in_a_folder(tmp_path: Path) -> None:
    files = {f"0_Transformer/{name}": data for name, data in SHARDS.items()}
    files |= {name: FOLDERS[name] for name in ("modules.json", "1_Pooling/config.json")}
    assert lacks(write(tmp_path / "m", files)) == ""
    (tmp_path / "m" / "0_Transformer" / "model-00001-of-00002.safetensors").unlink()
    assert "model-00001-of-00002.safetensors, not there yet" in lacks(tmp_path / "m", settle=0)


# settling


def test_what_changed_within_the_settle_time_waits(tmp_path: Path) -> None:
    directory = write(tmp_path / "m", LAYERS, age=30)
    assert lacks(directory, settle=20) == ""
    assert lacks(directory, settle=40) in ("changed 30 s ago, settles for 40 s", "changed 31 s ago, settles for 40 s")
    made_ago(directory, 1000)
    os.utime(directory / "1_Pooling" / "config.json")
    assert "changed 0 s ago" in lacks(directory)


def test_a_copy_that_keeps_the_originals_times_waits_too(tmp_path: Path) -> None:
    original = write(tmp_path / "original", LAYERS, age=5000)
    copy = tmp_path / "in" / "m"
    copy.mkdir(parents=True)
    for name in PLAIN:  # complete by itself, were it not for the time of its folder
        shutil.copy2(original / name, copy / name)
    assert "settles for 60 s" in lacks(copy)


def test_a_file_that_is_hidden_while_it_is_written_keeps_all_waiting(tmp_path: Path) -> None:
    directory = write(tmp_path / "m", PLAIN)
    (directory / ".model-2.safetensors.x7Gq").write_bytes(b"")
    os.utime(directory, (1, 1))
    assert "settles for 60 s" in lacks(directory)


def test_a_marker_replaces_waiting(tmp_path: Path) -> None:
    directory = write(tmp_path / "m", PLAIN, age=0)
    for marker in ("DONE", ".complete", "state/done"):
        assert lacks(directory, marker=marker) == f"its marker {marker} is not there"
        write(directory, {marker: b""}, age=0)
        assert lacks(directory, marker=marker) == ""
    (directory / "model.safetensors").write_bytes(DATA[:-1])
    assert "model.safetensors: has" in lacks(directory, marker="DONE")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_checkpoint_is_never_complete_before_its_last_file(scratch: Path, data: st.DataObject) -> None:
    files = data.draw(st.sampled_from(list(LAYOUTS.values())))
    order = data.draw(st.permutations(list(files)))
    root = Path(tempfile.mkdtemp(dir=scratch))
    for i, name in enumerate(order):
        assert not [place for place in look(root).places if not look(root).lacks(place, 60, None)]
        # ten seconds a file, and the folders' times as those of a copy that keeps times
        (root / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "m" / name).write_bytes(files[name])
        then = time.time() - 10 * (len(order) - i)
        os.utime(root / "m" / name, (then, then))
    made_ago(root, 60.5)
    assert places(root) == ["m"] and lacks(root / "m") == ""


@pytest.mark.parametrize("files", [LAYERS, FOLDERS, SHARDS], ids=["layers", "folders", "shards"])
def test_what_was_left_off_half_way_never_becomes_complete_where_its_files_tell(files: Files, tmp_path: Path) -> None:
    """However long ago: a copy that died. Plain files and a tokenizer's second file tell nothing."""
    for gone in files:
        directory = write(tmp_path / gone.replace("/", "-") / "m", {n: d for n, d in files.items() if n != gone})
        assert lacks(directory) != ""


# which there are


def test_checkpoints_are_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("a", "family/v1", "family/v2", "x/y/z/deep"):
        write(tmp_path / name, LAYERS)
    assert places(tmp_path) == ["a", "family/v1", "family/v2", "x/y/z/deep"]
    assert all(not lacks(tmp_path / name) for name in places(tmp_path))


def test_a_name_that_begins_like_another_is_another(tmp_path: Path) -> None:
    write(tmp_path / "m", PLAIN)
    write(tmp_path / "m2", {"config.json": b"{}"})
    write(tmp_path / "2024_Run", PLAIN)
    assert places(tmp_path) == ["2024_Run", "m", "m2"]
    assert [bool(lacks(tmp_path / name)) for name in places(tmp_path)] == [False, False, True]


def test_hidden_files_and_folders_are_no_checkpoints_and_no_parts(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "m", PLAIN)
    write(tmp_path / "m", PLAIN | {f".git/lfs/{name}": data for name, data in PLAIN.items()})
    write(tmp_path / "m", {".cache/half.safetensors": DATA[:-1], ".hidden.safetensors": b""})
    assert places(tmp_path) == ["m"]
    assert lacks(tmp_path / "m") == ""
    write(tmp_path / ".watched" / "m", PLAIN)
    assert places(tmp_path / ".watched") == ["m"]


@pytest.mark.parametrize("layout", ["plain", "layers"])
def test_what_a_trainer_saves_on_its_way_is_apart_from_its_result(layout: str, tmp_path: Path) -> None:
    for step in ("checkpoint-500", "checkpoint-1000"):
        write(tmp_path / "out" / step, LAYOUTS[layout] | {"optimizer.pt": b"x"})
    # nothing of the steps' makes the result complete
    write(tmp_path / "out", {"config.json": b"{}"})
    assert places(tmp_path) == ["out", "out/checkpoint-1000", "out/checkpoint-500"]
    assert [bool(lacks(tmp_path / name)) for name in places(tmp_path)] == [True, False, False]
    write(tmp_path / "out", LAYOUTS[layout])
    assert places(tmp_path) == ["out", "out/checkpoint-1000", "out/checkpoint-500"]
    assert not any(lacks(tmp_path / name) for name in places(tmp_path))
    # a step that is being written keeps only itself waiting
    made_ago(tmp_path / "out" / "checkpoint-1000", 1)
    assert [bool(lacks(tmp_path / name)) for name in places(tmp_path)] == [False, True, False]


def test_a_stray_file_hides_no_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, {"m/" + name: data for name, data in PLAIN.items()} | {"config.json": b"{}"})
    assert places(tmp_path) == [".", "m"]
    assert lacks(tmp_path / "m") == ""
    assert "no tokenizer" in look(tmp_path).lacks(str(tmp_path), 60, None)


def test_exports_are_a_part(tmp_path: Path) -> None:
    write(tmp_path / "m", PLAIN | {"onnx/config.json": b"{}", "onnx/model.onnx": b"x", "openvino/config.json": b"{}"})
    assert places(tmp_path) == ["m"]


def test_parts_that_come_first_are_not_listed_apart(tmp_path: Path) -> None:
    write(tmp_path / "m", PARTS)
    write(tmp_path / "old", {name: FOLDERS[name] for name in FOLDERS if name.startswith("0_")})
    assert places(tmp_path) == ["m", "old"]
    assert all("modules.json is not" in lacks(tmp_path / name) for name in ("m", "old"))


def test_links_are_what_they_lead_to(tmp_path: Path) -> None:
    write(tmp_path / "blobs", PLAIN)
    (tmp_path / "in" / "m").mkdir(parents=True)
    for name in PLAIN:
        (tmp_path / "in" / "m" / name).symlink_to(tmp_path / "blobs" / name)
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "blobs")
    (tmp_path / "in" / "nothing").symlink_to(tmp_path / "gone")
    made_ago(tmp_path / "in" / "m", 100)
    assert places(tmp_path / "in") == ["linked", "m"]
    assert [lacks(tmp_path / "in" / name) for name in ("linked", "m")] == ["", ""]


def test_a_checkpoint_stands_under_its_own_name_however_many_links_lead_to_it(tmp_path: Path) -> None:
    write(tmp_path / "m" / "v2", LAYERS)
    for link in ("a", "m/best", "m/v2/again", "z"):
        (tmp_path / link).symlink_to(tmp_path / "m" / "v2")
    made_ago(tmp_path / "m" / "v2", 100)
    assert places(tmp_path) == ["m/v2"]
    assert lacks(tmp_path / "m" / "v2") == ""


def test_checkpoints_may_share_a_folder_through_links(tmp_path: Path) -> None:
    write(tmp_path / "shared", {"config.json": PARTS["1_Pooling/config.json"]})
    for name in ("a", "b"):
        write(tmp_path / "in" / name, {path: data for path, data in LAYERS.items() if not path.startswith("1_")})
        (tmp_path / "in" / name / "1_Pooling").symlink_to(tmp_path / "shared")
        made_ago(tmp_path / "in" / name, 100)
    assert places(tmp_path / "in") == ["a", "b"]
    found = look(tmp_path / "in")
    assert [found.lacks(place, 60, None) for place in found.places] == ["", ""]
    (tmp_path / "shared" / "config.json").unlink()
    found = look(tmp_path / "in")
    assert ["1_Pooling" in found.lacks(place, 60, None) for place in found.places] == [True, True]


def test_two_routes_may_be_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "m", {name: data for name, data in ROUTER.items() if not name.startswith("query_0")})
    (tmp_path / "m" / "query_0").symlink_to("document_0")
    made_ago(tmp_path / "m", 100)
    assert lacks(tmp_path / "m") == ""
