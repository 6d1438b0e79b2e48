"""Checkpoints as files below a directory or an object store's prefix: which there are, and which are complete."""

import json
import re
import struct
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from clir_core.errors import StoreError, first_line
from clir_core.model.files import ADAPTER_CONFIG, CONFIG, MODULES, ROUTER_CONFIG, STEP_FOLDER
from clir_core.spec import sha256_of
from clir_core.workspace import layout
from clir_core.workspace.atomic import sweep, write_folder
from clir_core.workspace.deadline import within
from clir_core.workspace.locks import locked
from clir_core.workspace.storage import explained

WEIGHTS, INDEX = ".safetensors", ".safetensors.index.json"
TOKENIZERS = (
    "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
# modules that are nothing without weights, or without a configuration
WEIGHTED, CONFIGURED = ("Transformer", "Dense", "StaticEmbedding"), ("Transformer", "Dense", "Pooling")
# 1_Pooling: a part of the checkpoint above it; by name, because modules.json may come last
MODULE_FOLDER = re.compile(
    r"\d+_(Transformer|Pooling|WeightedLayerPooling|Dense|Normalize|LayerNorm|Dropout|StaticEmbedding|Router|CNN|LSTM)"
)
SHARD = re.compile(r"(.+)-\d+-of-\d+\.safetensors")
LONGEST_HEADER = 100_000_000  # bytes; the format's own limit
PATIENCE = 120.0  # seconds until a place that does not answer is out of reach
# what file systems, here and far away, raise
FAILURES = (OSError, ValueError, RuntimeError, pa.ArrowException)


class Checkpoints:
    """What lies below one place, as it was when this was made. Paths are those of its file system."""

    def __init__(self, files: fs.FileSystem, root: str, fetched: Path) -> None:
        self._fs, self._root, self._fetched = files, root.rstrip("/"), fetched
        everything = fs.FileSelector(self._root, recursive=True)
        try:
            infos = within(PATIENCE, root, lambda: [files.get_file_info(self._root), *files.get_file_info(everything)])
        except FAILURES as error:
            raise StoreError(
                f"{root}: cannot be listed ({first_line(error)}); check that it exists and may be read, or take it off "
                "the watch list"
            ) from error
        self._all = {info.path: info for info in infos if info.type != fs.FileType.NotFound}
        shown = (info for info in infos if info.type == fs.FileType.File and not _hidden(info.path, self._root))
        self._files = {info.path: info for info in shown}
        self.places = self._find()

    @staticmethod
    def at(path: str, workspace: Path) -> "Checkpoints":
        """Below a directory, relative to the workspace, or a URI such as s3://bucket/prefix. StoreError for others."""
        fetched = layout.fetched(workspace)
        if "://" not in path:
            with explained(path):
                place = Path(path).expanduser()
                if not place.is_absolute():
                    place = (workspace / place).resolve()
                    place.mkdir(parents=True, exist_ok=True)
            return Checkpoints(fs.LocalFileSystem(), str(place), fetched)
        try:
            files, root = within(PATIENCE, path, lambda: fs.FileSystem.from_uri(path))
        except FAILURES as error:
            raise StoreError(
                f"{path}: is no place that can be read ({first_line(error)}); write a directory, s3://... or gs://..., "
                "with its credentials in the environment"
            ) from error
        return Checkpoints(files, root, fetched)

    def lacks(self, place: str, settle: float, marker: str | None) -> str:
        """What keeps a checkpoint from being complete, in words; empty where it is."""
        files = {path.removeprefix(f"{place}/"): info for path, info in self._own(place, self._files).items()}
        if marker and f"{place}/{marker}" not in self._all:
            return f"its marker {marker} is not there"
        if reason := missing_of(files):
            return reason
        if MODULES in files and (reason := self._missing_module(files)):
            return reason
        for name in (name for name in files if name.endswith(WEIGHTS)):
            if reason := self._cut_off(files[name]):
                return f"{name}: {reason}"
        for name in (name for name in files if name.endswith(INDEX)):
            if reason := self._missing_shards(files, name):
                return f"{name}: {reason}"
        if marker:
            return ""
        # folders too: who copies with the times of the original leaves no other trace until all is there
        times = [info.mtime for info in self._own(place, self._all).values() if info.mtime]
        if not times:
            return "its files carry no times; give this source a marker"
        age = (datetime.now(UTC) - max(times)).total_seconds()
        return f"changed {max(0, age):.0f} s ago, settles for {settle:g} s" if age < settle else ""

    def local(self, place: str) -> Path:
        """Where a checkpoint lies on this machine: as it is, or fetched once for every state of its files."""
        if isinstance(self._fs, fs.LocalFileSystem):
            return Path(place)
        files = self._own(place, self._files)
        state = sha256_of(sorted((path, info.size, info.mtime_ns) for path, info in files.items()))[:16]
        target = self._fetched / state / PurePosixPath(place).name
        with locked(target.parent / layout.LOCK):
            if not target.exists():
                sweep(target)
                write_folder(target, lambda scratch: self._fetch(place, files, scratch))
        return target.resolve()

    def _fetch(self, place: str, files: dict[str, fs.FileInfo], target: Path) -> None:
        with explained(place):
            for path in files:
                copy = target / path.removeprefix(f"{place}/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                fs.copy_files(path, str(copy), self._fs, fs.LocalFileSystem())
            now = {info.path: info for info in self._fs.get_file_info(list(files))}
        if any((now[path].size, now[path].mtime_ns) != (old.size, old.mtime_ns) for path, old in files.items()):
            raise StoreError(f"{place}: changed while it was fetched; the next run looks again")

    def _find(self) -> list[str]:
        """Directories that hold a checkpoint, or a part of one; a checkpoint's own parts are not listed apart."""
        held: dict[str, set[str]] = {}
        for path in self._files:
            folder, name = _folder(path), _name(path)
            kind = WEIGHTS if name.endswith(WEIGHTS) else CONFIG if name == ADAPTER_CONFIG else name
            if kind not in (MODULES, CONFIG, WEIGHTS):
                continue
            if MODULE_FOLDER.fullmatch(_name(folder)):
                held.setdefault(_folder(folder), set())
            else:
                held.setdefault(folder, set()).add(kind)
        whole = {place for place, kinds in held.items() if MODULES in kinds or kinds >= {CONFIG, WEIGHTS}}
        apart = {place for place, kinds in held.items() if MODULES in kinds or STEP_FOLDER.fullmatch(_name(place))}
        inside = {place for place in held if any(str(up) in whole for up in PurePosixPath(place).parents)}
        return sorted(apart | (set(held) - inside))

    def _own(self, place: str, infos: dict[str, fs.FileInfo]) -> dict[str, fs.FileInfo]:
        """Those at or below a place, without those of other checkpoints below it."""
        others = [other for other in self.places if _at(other, place) and other != place]
        found = {path: info for path, info in infos.items() if _at(path, place)}
        return {path: info for path, info in found.items() if not any(_at(path, other) for other in others)}

    def _missing_module(self, files: dict[str, fs.FileInfo]) -> str:
        modules = self._json(files[MODULES])
        if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
            return f"{MODULES} is cut off"
        for module in list(modules):
            if str(module.get("type", "")).endswith(".Router"):
                config = self._json(file) if (file := files.get(_in(module, ROUTER_CONFIG))) else None
                types = config.get("types") if isinstance(config, dict) else None
                if not isinstance(types, dict):
                    return f"{MODULES} lists a Router, whose {ROUTER_CONFIG} is not there, or cut off"
                modules += [{"type": kind, "path": _in(module, folder)} for folder, kind in types.items()]
        for module in modules:
            folder, kind = str(module.get("path", "")), str(module.get("type", "")).rpartition(".")[2]
            held = {name.rpartition("/")[2] for name in files if name.rpartition("/")[0] == folder}
            if kind in WEIGHTED and not any(name.endswith(WEIGHTS) for name in held):
                return f"{MODULES} lists {folder or kind}, whose weights (*{WEIGHTS}) are not there"
            if kind in CONFIGURED and not {CONFIG, ADAPTER_CONFIG} & held:
                return f"{MODULES} lists {folder or kind}, whose {CONFIG} is not there"
            if folder and kind != "Normalize" and not any(_at(name, folder) for name in files):
                return f"{MODULES} lists {folder}, which is not there"
        return ""

    def _missing_shards(self, files: dict[str, fs.FileInfo], name: str) -> str:
        index = self._json(files[name])
        shards = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(shards, dict):
            return "is cut off"
        folder = name.rpartition("/")[0]
        there = {file.removeprefix(f"{folder}/") for file in files if file.rpartition("/")[0] == folder}
        missing = sorted(set(map(str, shards.values())) - there)
        return f"lists {', '.join(missing)}, not there yet" if missing else ""

    def _cut_off(self, info: fs.FileInfo) -> str:
        """How a safetensors file's size differs from what its header says; empty where it does not."""
        try:
            with self._fs.open_input_file(info.path) as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                if length > LONGEST_HEADER:
                    return "is no safetensors file"
                header = json.loads(stream.read(length))
            ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
        except OSError as error:
            return f"cannot be read ({first_line(error)})"
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, OverflowError, struct.error):
            return "its header is cut off"
        expected = 8 + length + max(ends, default=0)
        return "" if info.size == expected else f"has {info.size:,} of {expected:,} bytes"

    def _json(self, info: fs.FileInfo) -> Any:
        """What a JSON file holds; None where it cannot be read, or not as JSON."""
        try:
            with self._fs.open_input_file(info.path) as stream:
                return json.loads(stream.read())
        except (OSError, ValueError, RecursionError):
            return None


def missing_of(names: Collection[str]) -> str:
    """What a checkpoint of these files, named as seen from its folder, lacks, in words; empty where it has all."""
    folders = {name.partition("/")[0] for name in names if "/" in name}
    if MODULES not in names and (parts := sorted(filter(MODULE_FOLDER.fullmatch, folders))):
        return f"{parts[0]} is there, but {MODULES} is not"
    if not {CONFIG, MODULES, ADAPTER_CONFIG} & set(names):
        return f"neither {CONFIG} nor {MODULES} is there"
    # without modules.json nothing below is ever loaded
    loaded = [name for name in names if MODULES in names or "/" not in name]
    is_adapter = any(_name(name) == ADAPTER_CONFIG for name in loaded)  # its base has a tokenizer
    if not is_adapter and not any(_name(name) in TOKENIZERS for name in loaded):
        return f"no tokenizer is there ({', '.join(TOKENIZERS)})"
    if not any(name.endswith(WEIGHTS) for name in loaded):
        return f"no weights are there (*{WEIGHTS})"
    indexed = {f"{shard[1]}{INDEX}" for name in names if (shard := SHARD.fullmatch(name))}
    return "".join(f"{index} is not there" for index in sorted(indexed - set(names))[:1])


def _in(module: Mapping[str, Any], name: str) -> str:
    return f"{module['path']}/{name}" if module.get("path") else name


def _hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path[len(root) :]).parts)


def _at(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
