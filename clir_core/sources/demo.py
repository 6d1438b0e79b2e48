"""The demo corpus that comes with the package: 72 short encyclopedic texts in six languages, a question each (CC0)."""

import json
from importlib.resources import files

from clir_core.sources.rows import RawCorpus, RawRows


def read() -> RawCorpus:
    """All of it: parallel documents, parallel questions, each question judged for its own text's group."""
    rows = RawRows()
    folder = files("clir_core.sources") / "demo_corpus"
    for file in sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name):
        for row, entry in enumerate(json.loads(file.read_text(encoding="utf-8")), start=1):
            _add(rows, file.name, row, entry)
    return rows.corpus("demo")


def _add(rows: RawRows, file: str, row: int, entry: dict) -> None:
    group = entry["group_id"]
    for lang, text in entry["text"].items():
        rows.documents.add(file, row, doc_id=f"{lang}/{group}", group_id=group, lang=lang, text=text)
    for lang, question in entry["question"].items():
        query_id = f"{lang}/{group}/q"
        rows.queries.add(file, row, query_id=query_id, group_id=f"{group}/q", lang=lang, text=question)
        rows.qrels.add(file, row, query_id=query_id, group_id=group, grade=1)
