"""Whatever lies in a watched directory: the good checkpoint beside it is found, the bad one is named, and soon.

A process without rights of its own looks, so that what it may not read is really closed to it.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from typing import Any, NamedTuple

import pytest
from checkpoint_files import ADAPTER, LAYERS, PLAIN, ROUTER, SHARDS, Files, as_json, weights, write

from clir_core.model.checkpoint import Checkpoint, resolve
from clir_core.registry.discovery import Discovered, Problem, discover
from clir_core.registry.nightly import NightlySpec, NightlySummary, as_markdown
from clir_core.registry.places import Checkpoints
from clir_core.registry.watch import WatchList
from clir_core.runs import nightly

NOBODY = 65534
SOON = 20  # seconds, on a machine that is shared
DEEP = b"[" * 100_000
# an adapter of the good checkpoint
ADAPTED_HERE = {**ADAPTER, "adapter_config.json": as_json({"base_model_name_or_path": "../good"})}
# the step of the night that looks for checkpoints and reads what decides their vectors. What it imports may lie where
# only the one who runs the tests may read, so rights are dropped after a first look
NIGHT = """
import json, os, sys
from pathlib import Path
from clir_core.registry.nightly import NightlySpec
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList
from clir_core.runs.nightly import find_due

for line in sys.stdin:
    root = Path(json.loads(line))
    sources = [{"kind": "directory", "path": str(root / "in")}]
    watch = WatchList(version=1, families=[{"name": "one", "sources": sources}])
    found, due, _ = find_due(NightlySpec(workspace=root / "ws"), watch, "asked")
    told = [one.model_dump() for one in (*found.waiting, *found.problems)]
    names = [one.label for one in found.seen if one.label not in [problem["place"] for problem in told]]
    known = [entry.name for entry in Registry(root / "ws").entries()]
    print(json.dumps({"names": sorted(names), "known": known, "told": told}), flush=True)
    if os.getuid() == 0:
        os.setgroups([]), os.setgid(NOBODY), os.setuid(NOBODY)
"""


class Night:
    """A process that finds what is due in a folder's `in`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NIGHT.replace("NOBODY", str(NOBODY))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self, root: Path, patience: float = SOON) -> dict[str, Any]:
        """Names of the checkpoints that can be audited, those of the registry, and what is told of the others."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(str(root)) + "\n")
        self._process.stdin.flush()
        if not select([self._process.stdout], [], [], patience)[0]:
            self.end()
            pytest.fail("it hangs")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '"it ended"')
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def night() -> Iterator[Night]:
    started = Night()
    with tempfile.TemporaryDirectory() as first:
        assert started.look(place(Path(first)), patience=120)["names"] == ["good"]
    yield started
    started.end()


def place(root: Path) -> Path:
    """A folder that anybody may enter, with one good checkpoint to be found and a workspace to write in."""
    root.chmod(0o755)
    write(root / "in" / "good", {**PLAIN, "model.safetensors": weights(7.0)})
    (root / "ws").mkdir()
    (root / "ws").chmod(0o777)
    return root


class Bad(NamedTuple):
    """What to put beside the good checkpoint, what is said of it (empty: nothing), and what else is found."""

    build: Callable[[Path], object]
    told: str
    found: tuple[str, ...] = ()


def files(files: Files, **changed: object) -> Callable[[Path], object]:
    """A checkpoint `bad` with some files changed: bytes, or a function of the path that makes something else."""
    named = {name.replace("__", "/").replace("_json", ".json"): value for name, value in changed.items()}
    return lambda inside: _write(inside / "bad", {**files, **named})


def _write(directory: Path, content: dict[str, Any]) -> None:
    write(directory, {name: data for name, data in content.items() if isinstance(data, bytes)})
    for name, make in content.items():
        if not isinstance(make, bytes):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            make(directory / name)
    age(directory)


def age(directory: Path) -> None:
    """As if nothing there had changed for long."""
    for path in (*directory.rglob("*"), directory):
        os.utime(path, (1, 1), follow_symlinks=False)


def links(to: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(to)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        one.bind(path.name)
        os.chdir(here)


def closed(name: str, mode: int, of: Files = LAYERS) -> Callable[[Path], object]:
    """A checkpoint of which one file or folder may not be read; an empty name is all of it."""

    def build(inside: Path) -> None:
        write(inside / "bad", of)
        (inside / "bad" / name).chmod(mode)

    return build


def named(name: str | bytes, content: Files = PLAIN) -> Callable[[Path], object]:
    return lambda inside: write(inside / os.fsdecode(name), content)


def also(name: str, make: Callable[[Path], object], content: Files = PLAIN) -> Callable[[Path], object]:
    """A whole checkpoint `bad`, and in the same folder something else."""

    def build(inside: Path) -> None:
        write(inside / "bad", content)
        make(inside / name)
        age(inside / "bad")

    return build


def deep(inside: Path) -> None:
    """A tree beyond the longest path that there can be."""
    here = Path.cwd()
    os.chdir(inside)
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    os.chdir(here)


def circle(inside: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        write(inside / name, PLAIN)
        for i in range(5):
            (inside / name / f"{other}{i}").symlink_to(f"../{other}")
        age(inside / name)


def farm(inside: Path) -> None:
    for i in range(300):
        (inside / f"link{i}").symlink_to("." if i % 2 else "good")


def many(inside: Path) -> None:
    (inside / "many").mkdir()
    for i in range(20_000):
        (inside / "many" / f"{i}.json").touch()


def pickled(value: object) -> bytes:
    return as_json([{"idx": 0, "name": "0", "path": value, "type": "sentence_transformers.models.Transformer"}])


BAD = {
    # names
    "a name that is not UTF-8": Bad(named(b"v\xff"), r"v\\udcff.*not UTF-8"),
    "a folder of no checkpoint, its name not UTF-8": Bad(named(b"p\xff", {"cat.png": b"x"}), ""),
    "a file beside, its name not UTF-8": Bad(also(os.fsdecode(b"bad/notes\xff"), Path.touch), "", ("bad",)),
    "a deciding file, its name not UTF-8": Bad(also(os.fsdecode(b"bad/vocab\xff.txt"), Path.touch), "bad.*udcff"),
    "a link to a name that is not UTF-8": Bad(
        lambda inside: (inside / "bad").symlink_to(write(inside.parent / os.fsdecode(b"v\xff"), PLAIN)), "bad: .*udcff"
    ),
    "a module's folder, its name not UTF-8": Bad(files(PLAIN, modules_json=pickled("\ud800")), r"\\ud800"),
    "a shard, its name not UTF-8": Bad(
        lambda inside: write(inside / "bad", {**PLAIN, os.fsdecode(b"m\xff-1-of-2.safetensors"): weights()}), "udcff"
    ),
    "a name with a newline": Bad(named("two\nlines"), "", ("two\nlines",)),
    "a name that moves the cursor": Bad(named("\x1b[2J\u202ered[b]"), "", ("\x1b[2J\u202ered[b]",)),
    "the longest name": Bad(named("n" * 255), "", ("n" * 255,)),
    "a name like a reference": Bad(named("hf:org"), "", ("hf:org",)),
    # permissions
    "a closed configuration": Bad(closed("config.json", 0o600), "bad.*Permission denied"),
    "closed weights": Bad(closed("model.safetensors", 0o600), "bad.*Permission denied"),
    "a closed list of modules": Bad(closed("modules.json", 0o600), "bad.*Permission denied"),
    "a closed tokenizer": Bad(closed("tokenizer.json", 0o600), "bad.*Permission denied"),
    "a closed index": Bad(closed("model.safetensors.index.json", 0o600, SHARDS), "bad.*Permission denied"),
    "a closed router": Bad(closed("router_config.json", 0o600, ROUTER), "bad.*Permission denied"),
    "a closed adapter": Bad(closed("adapter_config.json", 0o600, ADAPTER), "bad.*Permission denied"),
    "a closed read-me": Bad(closed("README.md", 0o600, {**LAYERS, "README.md": b"x"}), "bad.*Permission denied"),
    "a closed checkpoint": Bad(closed("", 0o700), r"in/bad: cannot be listed \(Permission denied\)"),
    "one that may be listed and not entered": Bad(closed("", 0o744), r"in/bad: cannot be listed \(Permission"),
    "one that may be entered and not listed": Bad(closed("", 0o711), r"in/bad: cannot be listed \(Permission"),
    "a closed module": Bad(closed("1_Pooling", 0o700), "1_Pooling: cannot be listed"),
    "a closed folder of pictures": Bad(lambda inside: (inside / "p").mkdir(0), "in/p: cannot be listed"),
    "a closed folder that is hidden": Bad(lambda inside: (inside / ".trash").mkdir(0o700), ""),
    "what a file system keeps for itself": Bad(lambda inside: (inside / "lost+found").mkdir(0o700), ""),
    # links
    "a link to its own folder": Bad(also("bad/loop", links("."), LAYERS), "", ("bad",)),
    "links to all above": Bad(also("up", links("..")), "", ("bad",)),
    "a link to everything": Bad(also("all", links("/")), "", ("bad",)),
    "two links to one checkpoint": Bad(
        lambda inside: [links("good")(inside / name) for name in ("best", "latest")], ""
    ),
    "a link that comes before the checkpoint": Bad(also("a", links("bad"), LAYERS), "", ("bad",)),
    "folders that link to each other": Bad(circle, "", ("a", "b")),
    "hundreds of links": Bad(farm, ""),
    "a link to nothing": Bad(also("gone", links("nowhere")), "", ("bad",)),
    "a link to itself": Bad(also("self", links("self")), "", ("bad",)),
    "a configuration that leads nowhere": Bad(files(PLAIN, config_json=links("gone")), "neither config.json"),
    "weights that lead in a circle": Bad(files(PLAIN, **{"model.safetensors": links("model.safetensors")}), "weights"),
    "an adapter with a link to its own folder": Bad(also("bad/loop", links("."), ADAPTED_HERE), "", ("bad",)),
    # what is no file
    "a pipe for a configuration": Bad(files(PLAIN, config_json=os.mkfifo), "neither config.json"),
    "a pipe for a list of modules": Bad(files(PLAIN, modules_json=os.mkfifo), "bad.*no ordinary file"),
    "a pipe for a read-me": Bad(files(PLAIN, **{"README.md": os.mkfifo}), "bad.*no ordinary file"),
    "a pipe for weights": Bad(files(PLAIN, **{"model.safetensors": os.mkfifo}), "weights"),
    "a pipe for a second tokenizer": Bad(files(PLAIN, tokenizer_config_json=os.mkfifo), "bad.*no ordinary file"),
    "a pipe in a module": Bad(files(LAYERS, **{"2_Dense/config.json": os.mkfifo}), "2_Dense"),
    "a socket": Bad(files(PLAIN, **{"special_tokens_map.json": bound}), "bad.*no ordinary file"),
    "a device without end": Bad(files(PLAIN, modules_json=links("/dev/zero")), "bad.*no ordinary file"),
    "a folder for a configuration": Bad(files(PLAIN, config_json=Path.mkdir), "neither config.json"),
    "a folder for a list of modules": Bad(files(PLAIN, modules_json=Path.mkdir), "bad.*no ordinary file"),
    "a folder for weights": Bad(files(PLAIN, **{"model.safetensors": Path.mkdir}), "weights"),
    # content
    "an empty directory": Bad(lambda inside: (inside / "bad").mkdir(), ""),
    "empty files": Bad(files(dict.fromkeys(LAYERS, b"")), "modules.json is cut off"),
    "an empty configuration": Bad(files(PLAIN, config_json=b""), "bad.*not valid JSON"),
    "empty weights": Bad(files(PLAIN, **{"model.safetensors": b""}), "header is cut off"),
    "half of the weights": Bad(files(PLAIN, **{"model.safetensors": weights()[:-9]}), "has [0-9]+ of [0-9]+ bytes"),
    "weights with a vast header": Bad(files(PLAIN, **{"model.safetensors": b"\xff" * 64}), "no safetensors file"),
    "a deeply nested configuration": Bad(files(PLAIN, config_json=DEEP), "bad.*not valid JSON"),
    "deeply nested modules": Bad(files(PLAIN, modules_json=DEEP), "modules.json is cut off"),
    "a deeply nested tokenizer": Bad(files(PLAIN, tokenizer_config_json=DEEP), "bad.*not valid JSON"),
    "a deeply nested router": Bad(files(ROUTER, router_config_json=DEEP), "router_config.json is not there, or cut"),
    "deeply nested prompts": Bad(files(PLAIN, config_sentence_transformers_json=DEEP), "bad.*not valid JSON"),
    "a read-me of deep YAML": Bad(files(PLAIN, **{"README.md": b"---\na: " + DEEP + b"\n---\n"}), "", ("bad",)),
    "a configuration that is a list": Bad(files(PLAIN, config_json=b"[]"), "bad.*no JSON dict"),
    "a configuration that is null": Bad(files(PLAIN, config_json=b"null"), "bad.*no JSON dict"),
    "a configuration in Latin-1": Bad(files(PLAIN, config_json='{"a": "\xe9"}'.encode("latin-1")), "not valid JSON"),
    "a number of 5,000 digits": Bad(files(PLAIN, config_json=b'{"a": ' + b"9" * 5000 + b"}"), "bad.*not valid JSON"),
    "a configuration of a gigabyte": Bad(
        files(PLAIN, config_json=lambda path: os.truncate(write(path.parent, {path.name: b""}) / path.name, 1 << 30)),
        "bad.*config.json.*bytes",
    ),
    "modules that are words": Bad(files(LAYERS, modules_json=b'["a", "b"]'), "modules.json is cut off"),
    "a module's path that is a number": Bad(files(LAYERS, modules_json=pickled(5)), "lists 5"),
    "a module that leads out": Bad(files(LAYERS, modules_json=pickled("../good")), r"\.\./good"),
    "modules without a type": Bad(files(LAYERS, modules_json=b'[{"path": ""}]'), "bad.*does not list modules"),
    "architectures that are numbers": Bad(files(PLAIN, config_json=b'{"architectures": [5]}'), "", ("bad",)),
    "an architecture that is no text": Bad(
        files(PLAIN, config_json=b'{"architectures": ["\\ud800ForMaskedLM"]}'), r"bad.*\\ud800"
    ),
    "prompts that are numbers": Bad(
        files(PLAIN, config_sentence_transformers_json=b'{"prompts": {"query": 5, "document": [7]}}'), "", ("bad",)
    ),
    "prompts that are no text": Bad(
        files(PLAIN, config_sentence_transformers_json=b'{"prompts": {"query": "\\ud800"}}'), "bad"
    ),
    "a similarity that is a list": Bad(
        files(PLAIN, config_sentence_transformers_json=b'{"similarity_fn_name": ["x"]}'), "bad.*ranks by"
    ),
    "an index of lists": Bad(files(SHARDS, **{"model.safetensors.index.json": b'{"weight_map": [1]}'}), "is cut off"),
    "an adapter of nothing": Bad(named("bad", {**ADAPTER, "adapter_config.json": b"{}"}), "bad.*its base"),
    "an adapter of itself": Bad(
        named("bad", {**ADAPTER, "adapter_config.json": as_json({"base_model_name_or_path": "."})}), "bad.*its base"
    ),
    "an adapter whose base has another type": Bad(
        named("bad", {**ADAPTER, "adapter_config.json": as_json({"base_model_name_or_path": ["x"]})}), "bad.*its base"
    ),
    # sizes
    "twenty thousand files": Bad(many, ""),
    "a tree beyond the longest path": Bad(deep, r"cannot be listed \(File name too long\)"),
}


@pytest.mark.parametrize("what", BAD)
def test_it_is_named_and_the_good_one_beside_it_is_found(what: str, night: Night) -> None:
    bad, root = BAD[what], Path(tempfile.mkdtemp(prefix="clir-bad-"))
    try:
        bad.build(place(root) / "in")
        answer = night.look(root)
    finally:
        subprocess.run(["chmod", "-R", "u+rwX", root], check=False)
        shutil.rmtree(root)
    assert answer["names"] == sorted(("good", *bad.found)) and "good" in answer["known"]
    told = [Problem(**one) for one in answer["told"]]
    if not bad.told:
        assert told == []
        return
    # once, and not each file of it
    assert 1 <= len(told) <= 2
    assert any(re.search(bad.told, f"{one.place}: {one.reason}") for one in told), told
    page = as_markdown(NightlySummary(judged=(), known=0, waiting=(), problems=tuple(told)))
    assert len(page.splitlines()) >= len(told) + 2


def test_what_vanishes_between_listing_and_reading_waits(tmp_path: Path) -> None:
    place(tmp_path)
    for gone in ("modules.json", "model.safetensors"):
        write(tmp_path / "in" / "bad", LAYERS)
        found = Checkpoints.at(str(tmp_path / "in"), tmp_path)
        (tmp_path / "in" / "bad" / gone).unlink()
        assert [found.lacks(one, 60, None) for one in found.places] == ["is going while it is looked at", ""]


def test_what_vanishes_before_it_is_hashed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    write(tmp_path / "in" / "bad", LAYERS)

    def looked(*asked: Any) -> Discovered:
        found = discover(*asked)
        shutil.rmtree(tmp_path / "in" / "bad")
        return found

    monkeypatch.setattr(nightly, "discover", looked)
    found, due, _ = nightly.find_due(NightlySpec(workspace=tmp_path / "ws"), watching(tmp_path / "in"), "asked")
    assert [(one.place, "no such directory" in one.reason) for one in found.problems] == [("bad", True)]
    assert [one.name for one in due] == ["good"]


def test_what_nobody_thought_of_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    write(tmp_path / "in" / "bad", LAYERS)

    def resolved(ref: str, *asked: Any) -> Checkpoint:
        if ref.endswith("bad"):
            raise KeyError("pooling")
        return resolve(ref, *asked)

    monkeypatch.setattr(nightly, "resolve", resolved)
    found, due, _ = nightly.find_due(NightlySpec(workspace=tmp_path / "ws"), watching(tmp_path / "in"), "asked")
    assert [(one.place, "KeyError: 'pooling'" in one.reason) for one in found.problems] == [("bad", True)]
    assert [one.name for one in due] == ["good"]


def watching(path: Path) -> WatchList:
    sources = [{"kind": "directory", "path": str(path)}]
    return WatchList.model_validate({"version": 1, "families": [{"name": "one", "sources": sources}]})
