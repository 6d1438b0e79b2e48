"""Prompts of multi-vector checkpoints, which older layouts write as prefixes: as sentence-transformers reads them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STANFORD = "HF_ColBERT"


def prompts_of(path: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Prompts of a checkpoint by their name. `config` is its config_sentence_transformers.json, empty without one."""
    saved = {name: prompt for name, prompt in (config.get("prompts") or {}).items() if prompt}
    if _is_stanfords(path):
        metadata = _read(path / "artifact.metadata")
        return {
            "query": f"{metadata.get('query_token_id') or '[unused0]'} ",
            "document": f"{metadata.get('doc_token_id') or '[unused1]'} ",
            **saved,
        }
    for kind in ("query", "document"):
        # PyLate's prefix stands before the text of a prompt
        prefix = config.get(f"{kind}_prefix") or ""
        saved[kind] = prefix + saved.get(kind, "").removeprefix(prefix)
    return saved


def _is_stanfords(path: Path) -> bool:
    """Whether it is laid out as Stanford's code saves it, without a list of modules."""
    return not (path / "modules.json").exists() and STANFORD in (_read(path / "config.json").get("architectures") or [])


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
