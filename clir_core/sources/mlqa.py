"""MLQA: SQuAD files SPLIT-context-LANG-question-LANG.json. A context is a document, a question id has one a language.

The contexts of one id are paragraphs of independent articles that hold a parallel sentence: comparable, no translations.
So qrels name them one by one, and only contexts that hold exactly the same questions share a group.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked, choose_split, split_note
from clir_core.sources.choice import choose_languages
from clir_core.sources.rows import RawCorpus, RawRows
from clir_core.sources.xquad import Paragraph, read_file

_NAME = re.compile(r"(?P<split>.+)-context-(?P<context>.+)-question-(?P<question>.+)\.json")


@dataclass
class _Context:
    """One text of a language, however many paragraphs repeat it, and the ids of its questions."""

    doc_id: str
    row: int
    question_ids: set[str] = field(default_factory=set)

    @property
    def group_id(self) -> str:
        """Named by the questions alone, so that it never depends on the languages that are read."""
        return "+".join(sorted(self.question_ids)) or self.doc_id


def read(directory: Path, asked: Asked) -> RawCorpus:
    """One split of the files that ask in their contexts' language, in English and the languages asked for.

    CorpusError where a file is missing, damaged or there twice, and where training would take what audits ask.
    """
    if asked.reading.columns:
        raise CorpusError(f"{directory}: MLQA's columns are known; leave `columns` out")
    files, n_unread = _files(directory)
    chosen = choose_languages(asked.languages, files, "mlqa")
    split = choose_split({lang: list(files[lang]) for lang in chosen}, asked, str(directory))
    problems: list[str] = []
    texts = {lang: (str(files[lang][split]), read_file(files[lang][split], problems)) for lang in chosen}
    if problems:
        raise CorpusError("MLQA files that cannot be read", problems)
    others = sorted({name for lang in chosen for name in files[lang]} - {split})
    notes = [split_note([f"split {split}"], [f"split {name}" for name in others])]
    if n_unread:
        notes.append(f"Files that ask in another language than their contexts' were not read: {n_unread}.")
    return _tables(split, texts, notes)


def _files(directory: Path) -> tuple[dict[str, dict[str, Path]], int]:
    """By language and split the files that ask in their contexts' language, and how many others there are."""
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    n_others, twice = 0, []
    for path in sorted(path for folder in ("", "dev", "test") for path in (directory / folder).glob("*.json")):
        name = _NAME.fullmatch(path.name)
        if not name:
            continue
        if name["context"] != name["question"]:
            n_others += 1
            continue
        first = files[name["context"]].setdefault(name["split"], path)
        if first != path:
            twice.append(f"{first} and {path} are both there; keep one")
    if twice:
        raise CorpusError(f"MLQA in {directory} is there twice", twice)
    if not files:
        raise CorpusError(
            f"{directory} has no file such as test-context-en-question-en.json, nor has its dev/ or test/; give the "
            "folder MLQA_V1"
        )
    return files, n_others


def _tables(split: str, texts: Mapping[str, tuple[str, list[Paragraph]]], notes: list[str]) -> RawCorpus:
    """Raw tables. A row is the paragraph's or question's number in its file."""
    rows = RawRows()
    contexts = {lang: _contexts(lang, split, paragraphs) for lang, (_, paragraphs) in texts.items()}
    holders: dict[str, list[str]] = defaultdict(list)
    for lang, by_text in contexts.items():
        for text, one in by_text.items():
            values = {"doc_id": one.doc_id, "group_id": one.group_id, "lang": lang, "text": text}
            rows.documents.add(texts[lang][0], one.row, **values)
            for question_id in one.question_ids:
                holders[question_id].append(one.doc_id)
    for lang, (file, paragraphs) in texts.items():
        questions = (question for paragraph in paragraphs for question in paragraph.questions)
        for number, (question_id, text) in enumerate(questions, start=1):
            query_id = f"{lang}/{question_id}"
            rows.queries.add(file, number, query_id=query_id, group_id=question_id, lang=lang, text=text)
            for doc_id in holders[question_id]:
                rows.qrels.add(file, number, query_id=query_id, doc_id=doc_id, grade=1)
    sizes = Counter(one.group_id for by_text in contexts.values() for one in by_text.values())
    n_shared = sum(size for size in sizes.values() if size > 1)
    said = (
        f"Contexts that hold the same questions as one in another language: {n_shared:,} of {sizes.total():,}. They "
        "share its group, but are comparable, no translations; the others stand alone."
    )
    return replace(rows.corpus("mlqa"), notes=(*notes, said))


def _contexts(lang: str, split: str, paragraphs: list[Paragraph]) -> dict[str, _Context]:
    """By text; a text that several paragraphs have is named after the first."""
    contexts: dict[str, _Context] = {}
    for number, paragraph in enumerate(paragraphs, start=1):
        # the split, as positions are the same in dev and test
        new = _Context(f"{lang}/{split}-{paragraph.group_id}", number)
        one = contexts.setdefault(paragraph.context, new)
        one.question_ids.update(question_id for question_id, _ in paragraph.questions)
    return contexts
