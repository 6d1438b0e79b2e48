"""XQuAD: one SQuAD file a language, aligned by position. A paragraph is a document, its questions are the queries."""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked
from clir_core.sources.choice import choose_places, code_notes
from clir_core.sources.json_input import complaints
from clir_core.sources.rows import RawCorpus, RawRows


class _Question(BaseModel):
    id: str
    question: str


class _Paragraph(BaseModel):
    context: str
    qas: list[_Question]


class Article(BaseModel):
    """An article of SQuAD's format."""

    # its title stays unread: in the text it would give the article away
    paragraphs: list[_Paragraph]


class _File(BaseModel):
    data: list[Article]


class Paragraph(NamedTuple):
    """One paragraph of one language: the group that it shares with its translations, and (id, question) pairs."""

    group_id: str
    context: str
    questions: list[tuple[str, str]]
    article: str | None = None


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The files xquad.LANG.json of the pivot and the languages asked for; all of them where none is.

    CorpusError where one is missing, damaged, or no translation of the others.
    """
    by_code = {path.name.split(".")[1]: path for path in sorted(directory.glob("xquad.*.json"))}
    if not by_code:
        raise CorpusError(f"{directory} has no file xquad.LANG.json, such as xquad.en.json; give XQuAD's own folder")
    problems: list[str] = []
    files = choose_places(asked, by_code.items(), "xquad")
    texts = {lang: (str(path), _paragraphs(path, problems)) for lang, path in files.items()}
    if problems:
        raise CorpusError("XQuAD files that cannot be read", problems)
    return replace(tables("xquad", texts), notes=tuple(code_notes(by_code)))


def tables(name: str, texts: Mapping[str, tuple[str, Sequence[Paragraph]]]) -> RawCorpus:
    """Raw tables of paragraphs of several languages, with files. A row is the paragraph's or question's number.

    Queries have the column `article` where paragraphs say theirs.
    """
    check_aligned(texts)
    rows = RawRows()
    for lang, (file, paragraphs) in texts.items():
        asked = 0
        for number, (group, context, questions, article) in enumerate(paragraphs, start=1):
            further = {"article": article} if article else {}
            rows.documents.add(file, number, doc_id=f"{lang}/{group}", group_id=group, lang=lang, text=context)
            for question_id, question in questions:
                asked += 1
                query_id = f"{lang}/{question_id}"
                values = {"query_id": query_id, "group_id": question_id, "lang": lang, "text": question}
                rows.queries.add(file, asked, further, **values)
                rows.qrels.add(file, asked, query_id=query_id, group_id=group, grade=1)
    return rows.corpus(name)


def article_of(group_id: str) -> int:
    """The index of a group's article in the file: 7 of a07-p02."""
    return int(group_id.partition("-")[0].removeprefix("a"))


def check_aligned(texts: Mapping[str, tuple[str, Iterable[Paragraph]]]) -> None:
    """One CorpusError with every paragraph that asks other questions than those at its position in the other languages.

    Translations are known by their position alone.
    """
    first: dict[str, tuple[str, set[str]]] = {}
    problems = []
    for file, paragraphs in texts.values():
        for number, paragraph in enumerate(paragraphs, start=1):
            ids = {question_id for question_id, _ in paragraph.questions}
            other, expected = first.setdefault(paragraph.group_id, (file, ids))
            if ids != expected:
                problems.append(
                    f"{file}, row {number}: paragraph {paragraph.group_id} has other question ids than in {other}: "
                    "it is no translation; take both files from one release"
                )
    if problems:
        raise CorpusError("XQuAD files that are not aligned", problems)


def articles_of(path: Path, problems: list[str]) -> list[Article]:
    """The articles of a file in SQuAD's format; none where it cannot be read, and why goes to the problems."""
    try:
        return _File.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8)).data
    except ValidationError as error:
        problems += [f"{path}: {complaint}" for complaint in complaints(error)]
    except OSError as error:
        problems.append(f"{path}: {error.strerror}; make it readable")
    return []


def _paragraphs(path: Path, problems: list[str]) -> list[Paragraph]:
    return [
        Paragraph(
            f"a{a:02}-p{p:02}", paragraph.context, [(asked.id, asked.question) for asked in paragraph.qas], f"a{a:02}"
        )
        for a, article in enumerate(articles_of(path, problems))
        for p, paragraph in enumerate(article.paragraphs)
    ]
