"""Stored vectors as a model: what identifies them, and the fields of their checkpoint. Light for Parquet."""

import re
from pathlib import Path
from typing import Any

from clir_core.model.hashes import hashes_of
from clir_core.model.vectors_ref import Table, VectorsRef, name_of, parse, tables_of
from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_text
from clir_core.workspace.storage import explained

_DIGEST = re.compile(rb"[0-9a-f]{64}")


def settings(ref: str, truncate_dim: int | None, prompted: bool, cache: Path) -> dict[str, Any]:
    """The fields of its Checkpoint. `prompted`: a prompt is asked for, which changes nothing. Errors: ModelError,
    VectorsError and StoreError where the vectors cannot be read."""
    found = parse(ref)
    content = digest(ref, cache)
    chosen = {"truncate_dim": truncate_dim, "normalize": found.similarity != "dot"}
    notes = ("prompts change nothing: these vectors were made before",) if prompted else ()
    return {
        "kind": "vectors",
        "name": name_of(ref),
        "ref": str(found),
        "path": Path(found.place),
        "query_prompt": "",
        "document_prompt": "",
        "pooling_from": "",
        "max_tokens": 0,
        "dtype": "float32",
        "remote_code": False,
        "digest": content,
        "vectors": sha256_of({"vectors": content, **chosen}),
        "notes": (*notes, "which texts were cut, and with which prompts they were encoded, is not known"),
        **chosen,
    }


def digest(ref: str, cache: Path) -> str:
    """Hex sha256 over all that is stored, and which columns are read how."""
    found = parse(ref)
    tables = tables_of(ref)
    contents = {table: _content(table, found, cache) for table in set(tables.values())}
    read = [found.id, found.vector, found.kind, found.similarity == "dot"]
    return sha256_of([contents[tables["document"]], contents[tables["query"]], *read])


def _content(table: Table, ref: VectorsRef, cache: Path) -> Any:
    """What identifies a table's rows: its files' hashes, or one over what a Lance table's newest version holds."""
    if not table.uri:
        with explained(table.files[0]):
            return hashes_of(table.files, cache)
    from clir_core.model.vector_tables import content_of, state_of

    # a version is never changed, but a table may be dropped and made again: its time tells
    kept = cache / "vectors" / sha256_of([*state_of(table), ref.id, ref.vector, ref.kind])
    with explained(kept):
        if kept.exists() and _DIGEST.fullmatch(said := kept.read_bytes()):
            return said.decode()
        found = content_of(table, ref)
        write_text(kept, found)
    return found
