"""Checkpoints as files below a directory or an object store's prefix: which there are, and which are complete."""

import json
import re
import struct
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from clir_core.errors import StoreError, first_line
from clir_core.model.files import ADAPTER_CONFIG, CONFIG, MODULES, ROUTER_CONFIG, STEP_FOLDER
from clir_core.registry.listing import Info, Listing, folder_of, is_at, name_of
from clir_core.spec import as_text, sha256_of
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
SHOWN = 5  # files that a reason names
PATIENCE = 120.0  # seconds until a place that does not answer is out of reach
# what file systems, here and far away, raise
FAILURES = (OSError, ValueError, RuntimeError, pa.ArrowException)


class Checkpoints:
    """What lies below one place, as it was when this was made. Paths are those of its file system."""

    def __init__(self, files: fs.FileSystem, root: str, fetched: Path) -> None:
        self._fs, self._fetched = files, fetched
        root = root.rstrip("/")
        try:
            self._listing = within(PATIENCE, root, lambda: Listing(files, root))
        except FAILURES as error:
            raise StoreError(
                f"{root}: cannot be listed ({first_line(error)}); check that it exists and may be read, or take it off "
                "the watch list"
            ) from error
        shown = (info for info in self._listing.infos.values() if info.is_file and not _hidden(info.path, root))
        self.places = _places(info.path for info in shown)
        self._held = frozenset(self.places)
        self.closed = {path: why for path, why in self._listing.closed.items() if not _hidden(path, root)}

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
        """What keeps a checkpoint from being complete, in words; empty where it is.

        StoreError where that cannot be said, and waiting for it would not help.
        """
        if as_text(place) != place:
            raise StoreError(f"{place}: its name is not UTF-8, so nothing can refer to it; rename it")
        everything = self._own(place)
        files = _shown(everything)
        if marker and marker not in everything:
            return f"its marker {marker} is not there"
        try:
            reason = missing_of(files) or self._missing_inside(files)
        except FileNotFoundError:
            return "is going while it is looked at"
        except OSError as error:
            raise StoreError(
                f"{place}: cannot be read ({first_line(error)}); let this user read all of it, or move it away"
            ) from error
        if reason or marker:
            return reason
        # folders too: who copies with the times of the original leaves no other trace until all is there
        times = [info.mtime_ns for info in everything.values() if info.mtime_ns]
        if not times:
            return "its files carry no times; give this source a marker"
        age = (time.time_ns() - max(times)) / 1e9
        # a time far ahead is another clock's, or this one was set back: waiting for it could take years
        return f"changed {max(0, age):.0f} s ago, settles for {settle:g} s" if abs(age) < settle else ""

    def local(self, place: str) -> Path:
        """Where a checkpoint lies on this machine: as it is, or fetched once for every state of its files."""
        if isinstance(self._fs, fs.LocalFileSystem):
            return Path(place)
        files = _shown(self._own(place)).values()
        state = sha256_of(sorted((info.path, info.size, info.mtime_ns) for info in files))[:16]
        target = self._fetched / state / PurePosixPath(place).name
        with locked(target.parent / layout.LOCK):
            if not target.exists():
                sweep(target)
                write_folder(target, lambda scratch: self._fetch(place, files, scratch))
        return target.resolve()

    def _fetch(self, place: str, files: Collection[Info], target: Path) -> None:
        with explained(place):
            for info in files:
                copy = target / info.path.removeprefix(f"{place}/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                fs.copy_files(info.path, str(copy), self._fs, fs.LocalFileSystem())
            now = self._fs.get_file_info([info.path for info in files])
        if any((new.size, new.mtime_ns) != (old.size, old.mtime_ns) for old, new in zip(files, now, strict=True)):
            raise StoreError(f"{place}: changed while it was fetched; the next run looks again")

    def _own(self, place: str) -> dict[str, Info]:
        """What lies at or below a place, by its name as seen from there, without what other checkpoints hold."""
        found = dict(self._seen_from(place))
        for link in self._listing.links_below(place):
            target = self._listing.links[link]
            if self._holder(link) == place and target not in self._held and not is_at(place, target):
                inside = link.removeprefix(f"{place}/")
                found |= {f"{inside}/{name}": info for name, info in self._seen_from(target)}
        return found

    def _seen_from(self, folder: str) -> Iterator[tuple[str, Info]]:
        holder = self._holder(folder)
        for info in self._listing.below(folder):
            if self._holder(info.path) == holder:
                yield info.path.removeprefix(folder).removeprefix("/"), info

    def _holder(self, path: str) -> str:
        """The checkpoint that a path belongs to, the nearest at or above it; empty where there is none."""
        while path and path not in self._held:
            path = folder_of(path)
        return path

    def _missing_inside(self, files: Mapping[str, Info]) -> str:
        """What the files themselves say is missing of them. Errors: OSError."""
        if MODULES in files and (reason := self._missing_module(files)):
            return reason
        for name in (name for name in files if name.endswith(WEIGHTS)):
            if reason := self._cut_off(files[name]):
                return f"{name}: {reason}"
        for name in (name for name in files if name.endswith(INDEX)):
            if reason := self._missing_shards(files, name):
                return f"{name}: {reason}"
        return ""

    def _missing_module(self, files: Mapping[str, Info]) -> str:
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
            if folder and kind != "Normalize" and not any(is_at(name, folder) for name in files):
                return f"{MODULES} lists {folder}, which is not there"
        return ""

    def _missing_shards(self, files: Mapping[str, Info], name: str) -> str:
        index = self._json(files[name])
        shards = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(shards, dict):
            return "is cut off"
        folder = name.rpartition("/")[0]
        there = {file.removeprefix(f"{folder}/") for file in files if file.rpartition("/")[0] == folder}
        missing = sorted(set(map(str, shards.values())) - there)
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        return f"lists {', '.join(missing[:SHOWN])}{more}, not there yet" if missing else ""

    def _cut_off(self, info: Info) -> str:
        """How a safetensors file's size differs from what its header says; empty where it does not. Errors: OSError."""
        try:
            with self._listing.open(info.path) as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                if length > LONGEST_HEADER:
                    return "is no safetensors file"
                header = json.loads(stream.read(length))
            ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, OverflowError, struct.error):
            return "its header is cut off"
        expected = 8 + length + max(ends, default=0)
        return "" if info.size == expected else f"has {info.size:,} of {expected:,} bytes"

    def _json(self, info: Info) -> Any:
        """What a JSON file holds; None where it is no JSON. Errors: OSError."""
        with self._listing.open(info.path) as stream:
            data = stream.read(LONGEST_HEADER)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            return None


def _places(files: Iterable[str]) -> list[str]:
    """Directories that hold a checkpoint, or a part of one; a checkpoint's own parts are not listed apart."""
    held: dict[str, set[str]] = {}
    for path in files:
        folder, name = folder_of(path), name_of(path)
        kind = WEIGHTS if name.endswith(WEIGHTS) else CONFIG if name == ADAPTER_CONFIG else name
        if kind not in (MODULES, CONFIG, WEIGHTS):
            continue
        if MODULE_FOLDER.fullmatch(name_of(folder)):
            held.setdefault(folder_of(folder), set())
        else:
            held.setdefault(folder, set()).add(kind)
    whole = {place for place, kinds in held.items() if MODULES in kinds or kinds >= {CONFIG, WEIGHTS}}
    apart = {place for place, kinds in held.items() if MODULES in kinds or STEP_FOLDER.fullmatch(name_of(place))}
    inside = {place for place in held if any(str(up) in whole for up in PurePosixPath(place).parents)}
    return sorted(apart | (set(held) - inside))


def missing_of(names: Collection[str]) -> str:
    """What a checkpoint of these files, named as seen from its folder, lacks, in words; empty where it has all."""
    folders = {name.partition("/")[0] for name in names if "/" in name}
    if MODULES not in names and (parts := sorted(filter(MODULE_FOLDER.fullmatch, folders))):
        return f"{parts[0]} is there, but {MODULES} is not"
    if not {CONFIG, MODULES, ADAPTER_CONFIG} & set(names):
        return f"neither {CONFIG} nor {MODULES} is there"
    # without modules.json nothing below is ever loaded
    loaded = [name for name in names if MODULES in names or "/" not in name]
    is_adapter = any(name_of(name) == ADAPTER_CONFIG for name in loaded)  # its base has a tokenizer
    if not is_adapter and not any(name_of(name) in TOKENIZERS for name in loaded):
        return f"no tokenizer is there ({', '.join(TOKENIZERS)})"
    if not any(name.endswith(WEIGHTS) for name in loaded):
        return f"no weights are there (*{WEIGHTS})"
    indexed = {f"{shard[1]}{INDEX}" for name in names if (shard := SHARD.fullmatch(name))}
    return "".join(f"{index} is not there" for index in sorted(indexed - set(names))[:1])


def _in(module: Mapping[str, Any], name: str) -> str:
    return f"{module['path']}/{name}" if module.get("path") else name


def _shown(everything: Mapping[str, Info]) -> dict[str, Info]:
    return {name: info for name, info in everything.items() if info.is_file and not _hidden(name)}


def _hidden(path: str, root: str = "") -> bool:
    """Whether it is somebody's own, or the file system's, below the root."""
    return any(part.startswith(".") or part == "lost+found" for part in PurePosixPath(path[len(root) :]).parts)
