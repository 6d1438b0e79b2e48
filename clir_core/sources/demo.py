"""The demo corpus that comes with the package: 72 short encyclopedic texts in six languages, a question each (CC0)."""

import json
from importlib.resources import files
from importlib.resources.abc import Traversable

from clir_core.sources.rows import RawCorpus, RawRows


def read() -> RawCorpus:
    """All of it: parallel documents, parallel questions, each question judged for its own text's group."""
    rows = RawRows()
    for file in _files():
        for row, entry in enumerate(json.loads(file.read_text(encoding="utf-8")), start=1):
            _add(rows, file.name, row, entry)
    return rows.corpus("demo")


def topic_of(group_id: str) -> int:
    """The index of a group's topic among all, by name: 0 of bees-1."""
    return [file.name.removesuffix(".json") for file in _files()].index(group_id.rpartition("-")[0])


def _files() -> list[Traversable]:
    """A file a topic."""
    folder = files("clir_core.sources") / "demo_corpus"
    return sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)


def _add(rows: RawRows, file: str, row: int, entry: dict) -> None:
    group = entry["group_id"]
    for lang, text in entry["text"].items():
        rows.documents.add(file, row, doc_id=f"{lang}/{group}", group_id=group, lang=lang, text=text)
    for lang, question in entry["question"].items():
        query_id = f"{lang}/{group}/q"
        values = {"query_id": query_id, "group_id": f"{group}/q", "lang": lang, "text": question}
        rows.queries.add(file, row, {"topic": file.removesuffix(".json")}, **values)
        rows.qrels.add(file, row, query_id=query_id, group_id=group, grade=1)
