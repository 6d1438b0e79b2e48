"""Retrievers that are no checkpoint: BM25, and the run file of any system. What identifies them is told here."""

from pathlib import Path
from typing import Any

from clir_core.errors import ModelError
from clir_core.model.hashes import hashes_of
from clir_core.spec import sha256_of
from clir_core.workspace.storage import explained, path_of

# kinds of `Checkpoint` of which no vectors are stored, and what they have instead
UNSTORED = {
    "bm25": "weights of words",
    "run": "the ranks of a run file",
    "sparse": "weights of terms",
    "multi_vector": "several vectors a text",
}
BM25 = "bm25"
RUN = "run:"
# Lucene's formula as bm25s has it, with bm25s' own constants
METHOD, K1, B = "lucene", 1.5, 0.75
# a change of what ranks come of the same texts, or of the same file, is another retriever
_BM25_RULE = "words and bigrams 1"
_RUN_RULE = "ranks of distinct scores 1"
_ENDINGS = (".gz", ".txt", ".tsv", ".trec", ".run")


def is_baseline(ref: str) -> bool:
    """Whether a model reference names one of these."""
    return ref == BM25 or ref.startswith(RUN)


def baseline_fields(ref: str, cache: Path) -> dict[str, Any]:
    """The fields of the `Checkpoint` that stands for it. ModelError where there is no such run file."""
    path = Path(BM25)
    kind, name = "bm25", BM25
    identity: dict[str, Any] = {"method": METHOD, "k1": K1, "b": B, "rule": _BM25_RULE}
    if ref != BM25:
        path = path_of(ref.removeprefix(RUN)).resolve()
        kind, name = "run", _short(path.name)
        if not path.is_file():
            raise ModelError(f"{ref}: no such file; give a TREC run: query Q0 document rank score tag, a line each")
        with explained(path):
            identity = {"run": hashes_of([path], cache)[0], "rule": _RUN_RULE}
    digest = sha256_of({"kind": kind, **identity})
    return {
        "kind": kind,
        "name": name,
        "ref": ref,
        "path": path,
        "query_prompt": "",
        "document_prompt": "",
        "max_tokens": 0,
        "truncate_dim": None,
        "dtype": "float32",
        "normalize": False,
        "remote_code": False,
        "digest": digest,
        "vectors": digest,
    }


def _short(name: str) -> str:
    """A file's name without the endings that say what every run is."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending) or name
    return name
