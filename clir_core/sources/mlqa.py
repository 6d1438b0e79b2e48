"""MLQA: SQuAD files of independent articles, whose questions are parallel by their ids.

The paragraph that answers a question in another language holds the parallel sentence and is no translation of the rest.
A question is judged for each of them; those that answer the very same questions are one group, comparable documents.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked, choose_split, split_note
from clir_core.sources.choice import choose_places, code_notes
from clir_core.sources.rows import RawCorpus, RawRows
from clir_core.sources.xquad import articles_of

_NAME = re.compile(r"(\w+)-context-([\w-]+)-question-([\w-]+)\.json")


class Passage(NamedTuple):
    """A paragraph: its id in its language, its text, and (id, question) pairs."""

    key: str
    text: str
    questions: tuple[tuple[str, str], ...]

    @property
    def asked(self) -> frozenset[str]:
        """The ids of its questions; its own where it has none."""
        return frozenset(key for key, _ in self.questions) or frozenset([self.key])


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The files SPLIT-context-X-question-X.json of the pivot and the languages asked for, in DIR, DIR/dev or DIR/test.

    Those that ask in another language than the paragraph's repeat questions, and are left out. Raises CorpusError with
    every file that is missing or damaged.
    """
    files = _files(directory)
    split = choose_split({code: list(splits) for code, splits in files.items()}, asked, str(directory))
    chosen = choose_places(asked, ((code, splits[split]) for code, splits in files.items()), "mlqa")
    problems: list[str] = []
    texts = {lang: (str(path), _passages(path, split, problems)) for lang, path in chosen.items()}
    if problems:
        raise CorpusError("MLQA files that cannot be read", problems)
    raw = tables("mlqa", texts)
    note = split_note(
        [file for file, _ in texts.values()], sorted({name for of in files.values() for name in of} - {split})
    )
    return replace(raw, notes=(note, *code_notes(files), *raw.notes))


def tables(name: str, texts: Mapping[str, tuple[str, list[Passage]]]) -> RawCorpus:
    """Raw tables of the passages of several languages, with their files."""
    answers: dict[str, list[str]] = {}
    group_of: dict[frozenset[str], str] = {}
    for lang, (_, passages) in texts.items():
        for passage in passages:
            group_of.setdefault(passage.asked, f"{lang}-{passage.key}")
            for question_id in passage.asked:
                answers.setdefault(question_id, []).append(f"{lang}/{passage.key}")
    rows, members = RawRows(), Counter[str]()
    for lang, (file, passages) in texts.items():
        asked = 0
        for number, passage in enumerate(passages, start=1):
            group = group_of[passage.asked]
            members[group] += 1
            doc_id = f"{lang}/{passage.key}"
            rows.documents.add(file, number, doc_id=doc_id, group_id=group, lang=lang, text=passage.text)
            for question_id, question in passage.questions:
                asked += 1
                query_id = f"{lang}/{question_id}"
                rows.queries.add(file, asked, query_id=query_id, group_id=question_id, lang=lang, text=question)
                for answer in answers[question_id]:
                    rows.qrels.add(file, asked, query_id=query_id, doc_id=answer, grade=1)
    several = sum(count > 1 for count in members.values())
    told = (
        f"{several:,} groups hold paragraphs of several languages that answer the same questions: comparable, not "
        f"translations of one another. {len(members) - several:,} paragraphs are groups of their own."
    )
    return replace(rows.corpus(name), notes=(told,))


def _files(directory: Path) -> dict[str, dict[str, Path]]:
    """Under each language's code its file of each split."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted((*directory.glob("*.json"), *directory.glob("*/*.json"))):
        named = _NAME.fullmatch(path.name)
        if named and named[2] == named[3]:
            found.setdefault(named[2], {})[named[1]] = path
    if not found:
        raise CorpusError(
            f"{directory} has no file such as test-context-de-question-de.json, nor have its folders; give the folder "
            "MLQA_V1 as it was unpacked"
        )
    return found


def _passages(path: Path, split: str, problems: list[str]) -> list[Passage]:
    """Each distinct paragraph once: a paragraph that stands there again brings its further questions."""
    found: dict[str, Passage] = {}
    for a, article in enumerate(articles_of(path, problems)):
        for p, paragraph in enumerate(article.paragraphs):
            questions = tuple((asked.id, asked.question) for asked in paragraph.qas)
            before = found.get(paragraph.context) or Passage(f"{split}-a{a:04}-p{p:02}", paragraph.context, ())
            found[paragraph.context] = before._replace(questions=before.questions + questions)
    return list(found.values())
