"""Adapters: directories of LoRA weights without their base. Links in a folder of the cache put both together."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from clir_core.errors import ModelError
from clir_core.model.files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    MODULES,
    PICKLED_ADAPTER,
    Module,
    files_in,
    modules_of,
    read_json,
)
from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_folder

BASE = "base_model_name_or_path"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def adapter_folder(ref: str, path: Path) -> Path | None:
    """Where in a checkpoint its adapter lies: in the folder of a transformer; None where it has none.

    ModelError where the checkpoint lists modules and its adapter lies elsewhere, so that nothing would load it.
    """
    folders = [path / module.folder for module in modules_of(ref, path) if module.kind == "Transformer"]
    holding = [folder for folder in folders if (folder / ADAPTER_CONFIG).exists()]
    if holding:
        if not any((holding[0] / name).exists() for name in (ADAPTER_WEIGHTS, PICKLED_ADAPTER)):
            raise ModelError(
                f"{ref}: {holding[0] / ADAPTER_CONFIG} is there, and its weights ({ADAPTER_WEIGHTS}) are not; save the "
                "whole adapter, in one file"
            )
        return holding[0]
    aside = [file.parent for file in sorted(path.glob(f"*/{ADAPTER_CONFIG}"))]
    if aside and any((path / name).exists() for name in (MODULES, CONFIG)):
        raise ModelError(
            f"{ref}: the adapter in {aside[0].name}/ would not be loaded, as nothing refers to it; give {aside[0]} to "
            "audit the base with it, or move it away to audit the base alone"
        )
    return None


def base_of(ref: str, folder: Path, fetch: Callable[[str], Path]) -> Path:
    """The directory of an adapter's base; `fetch` brings one from a hub. ModelError where there is none."""
    config = read_json(folder / ADAPTER_CONFIG)
    named = str(config.get(BASE) or "")
    # beside the adapter before the directory that a run happens to start in
    for place in (folder / Path(named).expanduser(), Path(named)):
        if named and place.is_dir():
            return place.resolve()
    if not _HUB_NAME.fullmatch(named):
        raise ModelError(
            f"{ref}: its base {named!r} ({BASE} in {folder / ADAPTER_CONFIG}) is no directory here and no model of a "
            "hub; put the base there, or its present place into that file"
        )
    revision = config.get("revision")
    try:
        return fetch(f"hf:{named}@{revision}" if revision else f"hf:{named}")
    except ModelError as error:
        raise ModelError(f"{ref}: the base of this adapter is out of reach; {error}") from error


def put_together(ref: str, path: Path, folder: Path, base: Path, cache: Path) -> Path:
    """A directory in the cache that loads as the base with the adapter: links to the files of both.

    What the adapter's own directory lacks (tokenizer, pooling, prompts) is the base's.
    """
    transformer = base_transformer(ref, base)
    config = {**read_json(folder / ADAPTER_CONFIG), BASE: str(transformer), "revision": None}
    if (path / MODULES).exists():
        inside = folder.relative_to(path)
        tokenizer = {str(inside / name): file for name, file in _missing_tokenizer(transformer, folder)}
        files = {**_loaded(path, modules_of(ref, path)), **tokenizer}
    else:
        inside = transformer.relative_to(base)
        own = {str(inside / file.name): file.resolve() for file in files_in(folder)}
        files = {**_loaded(base, modules_of(ref, base)), **own}
    files = {name: file for name, file in files.items() if not _is_of_base(Path(name), inside)}
    state = sha256_of([config, sorted((name, str(file)) for name, file in files.items())])
    place = cache / "adapters" / state[:16] / path.name

    def link(scratch: Path) -> None:
        for name, file in files.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).symlink_to(file)
        (scratch / inside).mkdir(parents=True, exist_ok=True)
        (scratch / inside / ADAPTER_CONFIG).write_text(json.dumps(config), "utf-8")

    if not place.exists():
        write_folder(place, link)
    return place


def base_transformer(ref: str, base: Path) -> Path:
    """The folder of a base's transformer. ModelError for a base that is an adapter itself, or has several."""
    folders = {base / module.folder for module in modules_of(ref, base) if module.kind == "Transformer"}
    if len(folders) != 1:
        raise ModelError(f"{ref}: its base {base} has {len(folders)} transformers, and an adapter belongs to one")
    folder = folders.pop()
    if (folder / ADAPTER_CONFIG).exists():
        raise ModelError(f"{ref}: its base {base} is an adapter itself; merge that one into its own base first")
    return folder


def _is_of_base(name: Path, inside: Path) -> bool:
    """Whether a file is of the base's transformer itself, which is loaded from where it lies, or is written anew."""
    is_weights = name.suffix == ".safetensors" and name.name != ADAPTER_WEIGHTS
    return name.parent == inside and (
        is_weights or name.name in (CONFIG, ADAPTER_CONFIG) or name.name.endswith(".index.json")
    )


def _loaded(source: Path, modules: Sequence[Module]) -> dict[str, Path]:
    """The files of a checkpoint's folder and of its modules', by name, with where they lie."""
    folders = dict.fromkeys(("", *(module.folder for module in modules)))
    return {
        str(PurePosixPath(folder) / file.name): file.resolve()
        for folder in folders
        for file in files_in(source / folder)
    }


def _missing_tokenizer(source: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """The base's tokenizer, where the adapter's folder has none: trainers often save none."""
    if any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        return
    for file in files_in(source):
        if file.suffix in (".json", ".txt", ".model", ".jinja") and not (folder / file.name).exists():
            yield file.name, file.resolve()
