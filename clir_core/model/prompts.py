"""What goes before queries and documents, and who says so: the spec, the checkpoint, or a family known for it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from clir_core.model.colbert import with_prefixes
from clir_core.model.files import CONFIG, SENTENCE_CONFIG, read_json

_LONGEST_CARD = 1_000_000  # bytes that are looked at
DOCUMENT_NAMES = ("document", "passage", "corpus")  # in the order in which sentence-transformers looks for them
# families whose checkpoints often come without prompts; from their model cards. The first match in the name wins
FAMILIES: tuple[tuple[str, str, str], ...] = (
    (
        r"(^|[^a-z])e5([^0-9a-z].*)?instruct",
        "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
        "",
    ),
    (r"(^|[^a-z])e5([^0-9a-z]|$)", "query: ", "passage: "),
    (r"bge-m3", "", ""),
    (r"bge-.*-en", "Represent this sentence for searching relevant passages: ", ""),
    (r"bge-.*-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    (r"gte-qwen", "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ", ""),
    (r"gte-", "", ""),
    (
        r"jina-embeddings-v3",
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
    ),
)


class Prompts(NamedTuple):
    """Both prompts, who says so, and what is doubtful about it."""

    query: str
    document: str
    origin: str
    notes: tuple[str, ...] = ()


def prompts_of(path: Path, name: str, query: str | None, document: str | None) -> Prompts:
    """The prompts of a checkpoint in this directory; `query` and `document` are the spec's, None where it says nothing.

    The spec's count, else the checkpoint's own, empty ones too; else those of the family of its base model, as its card
    or configuration names it; else those of the family that its name looks like, which is a guess.
    """
    found = _own(path) or _of_family(path, name) or Prompts("", "", "none")
    if query is None and document is None:
        return found
    given = Prompts(
        found.query if query is None else query,
        found.document if document is None else document,
        "the request" if None not in (query, document) else f"the request and {found.origin}",
    )
    return given if None not in (query, document) else given._replace(notes=found.notes)


def own_prompts(prompts: Mapping[str, Any], default_prompt_name: str | None) -> Prompts:
    """Those of a checkpoint that names some: as encode_query and encode_document find them, empty ones too.

    Where the checkpoint itself names no prompt for documents, `passage` and `corpus` are; sentence-transformers, whose
    models always have an empty one under `document`, would use none.
    """
    default = prompts.get(default_prompt_name or "")
    query = str(prompts.get("query", default) or "")
    name = next((name for name in DOCUMENT_NAMES if name in prompts), "")
    document = str((prompts[name] if name else default) or "")
    others = {name: text for name, text in prompts.items() if text and text not in (query, document)}
    notes = []
    if default and ("query" not in prompts or not name):
        notes = [f"its default prompt {default_prompt_name!r} goes before what it names no prompt for"]
    elif name in DOCUMENT_NAMES[1:] and document:
        notes = [
            f"documents get its prompt {name!r}; sentence-transformers' encode_document would put nothing before them"
        ]
    elif not query and not document and others:
        notes = [f"its prompts {', '.join(others)} are neither for queries nor for documents: none is used"]
    elif not document and (unused := [name for name in DOCUMENT_NAMES if name in others]):
        notes = [
            f"documents get no prompt, as it names an empty one for them; its prompt {unused[0]!r} is "
            f"{prompts[unused[0]]!r}: set encoding.document_prompt if documents are to have that"
        ]
    return Prompts(query, document, "the checkpoint", tuple(notes))


def _own(path: Path) -> Prompts | None:
    config = read_json(path / SENTENCE_CONFIG)
    prompts = with_prefixes(path, config)
    if not prompts:
        return None
    default = config.get("default_prompt_name")
    found = own_prompts(prompts, default if isinstance(default, str) else None)
    base = _base_model(path)
    if not any((found.query, found.document, found.notes)) and (family := _family(base)):
        told = f"it says that it takes no prompts; its base model {base} is used with {family[0]!r} and {family[1]!r}"
        return found._replace(notes=(told,))
    return found


def _of_family(path: Path, name: str) -> Prompts | None:
    base = _base_model(path)
    if family := _family(base):
        return Prompts(*family, f"its base model {base}")
    if family := _family(name):
        told = (
            f"prompts {family[0]!r} and {family[1]!r} were guessed from the name {name!r}; set them where that is wrong"
        )
        return Prompts(*family, f"a guess from the name {name}", (told,))
    return None


def _family(name: str) -> tuple[str, str] | None:
    """The prompts of a family that takes some."""
    found = next((prompts for form, *prompts in FAMILIES if re.search(form, name.lower())), None)
    return (found[0], found[1]) if found and any(found) else None


def _base_model(path: Path) -> str:
    """What the model card's head names as base model, else the configuration; empty where neither does."""
    card = path / "README.md"
    text = ""
    if card.exists():
        with card.open("rb") as stream:
            text = stream.read(_LONGEST_CARD).decode("utf-8", "replace")
    head = re.match(r"---\r?\n(.*?)\r?\n---", text, re.S)
    try:
        fields = yaml.safe_load(head[1]) if head else None
    except (yaml.YAMLError, ValueError, RecursionError):  # an impossible date is a ValueError
        fields = None
    named = fields.get("base_model") if isinstance(fields, dict) else None
    named = named[0] if isinstance(named, list) and named else named
    named = named if isinstance(named, str) else ""
    return str(named or read_json(path / CONFIG).get("_name_or_path") or "")
