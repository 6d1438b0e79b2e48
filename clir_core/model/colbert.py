"""Prompts of multi-vector checkpoints, which older layouts write as prefixes: as sentence-transformers reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clir_core.model.files import COLBERT, CONFIG, MODULES, read_json

_STANFORD = "HF_ColBERT"


def with_prefixes(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Prompts of a checkpoint by their names, with prefixes of PyLate's or Stanford's layout where it has some.

    `config` is its config_sentence_transformers.json, empty without one.
    """
    named = config.get("prompts")
    prompts: dict[str, Any] = dict(named) if isinstance(named, dict) else {}
    architectures = read_json(path / CONFIG).get("architectures")
    if not (path / MODULES).exists() and isinstance(architectures, list) and _STANFORD in architectures:
        metadata = read_json(path / COLBERT)
        query, document = (metadata.get(f"{kind}_token_id") for kind in ("query", "doc"))
        return {"query": f"{query or '[unused0]'} ", "document": f"{document or '[unused1]'} ", **prompts}
    for kind in ("query", "document"):
        if f"{kind}_prefix" in config:
            # PyLate's prefix stands before the text of a prompt
            prefix = str(config[f"{kind}_prefix"] or "")
            prompts[kind] = prefix + str(prompts.get(kind) or "").removeprefix(prefix)
    return prompts
