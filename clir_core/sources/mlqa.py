"""MLQA: SQuAD files of independent articles, whose questions are parallel by their ids.

The paragraph that answers a question in another language holds the parallel sentence and is no translation of the rest:
such paragraphs are one group, comparable documents, so that `cross` and `multi` can ask for them.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked, choose_split, split_note
from clir_core.sources.choice import choose_languages
from clir_core.sources.rows import RawCorpus, RawRows
from clir_core.sources.xquad import articles_of

_NAME = re.compile(r"(\w+)-context-([\w-]+)-question-([\w-]+)\.json")


class Passage(NamedTuple):
    """A paragraph: its id in its language, its text, and (id, question) pairs."""

    key: str
    text: str
    questions: tuple[tuple[str, str], ...]


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The files SPLIT-context-X-question-X.json of the pivot and the languages asked for, in DIR, DIR/dev or DIR/test.

    Those that ask in another language than the paragraph's repeat questions, and are left out. Raises CorpusError with
    every file that is missing or damaged.
    """
    files = _files(directory)
    split = choose_split({lang: list(splits) for lang, splits in files.items()}, asked, str(directory))
    chosen = choose_languages(asked.languages, files, "mlqa", asked.reading.pivot)
    problems: list[str] = []
    texts = {lang: (str(files[lang][split]), _passages(files[lang][split], problems)) for lang in chosen}
    if problems:
        raise CorpusError("MLQA files that cannot be read", problems)
    raw = tables("mlqa", texts)
    note = split_note(
        [file for file, _ in texts.values()], sorted({name for of in files.values() for name in of} - {split})
    )
    return replace(raw, notes=(note, *raw.notes))


def tables(name: str, texts: Mapping[str, tuple[str, list[Passage]]]) -> RawCorpus:
    """Raw tables of the passages of several languages, with their files."""
    group_of = _groups({lang: passages for lang, (_, passages) in texts.items()})
    rows = RawRows()
    for lang, (file, passages) in texts.items():
        asked = 0
        for number, (key, text, questions) in enumerate(passages, start=1):
            group = group_of[lang, key]
            rows.documents.add(file, number, doc_id=f"{lang}/{key}", group_id=group, lang=lang, text=text)
            for question_id, question in questions:
                asked += 1
                query_id = f"{lang}/{question_id}"
                values = {"query_id": query_id, "group_id": question_id, "lang": lang, "text": question}
                rows.queries.add(file, asked, {"passage_group": group}, **values)
                rows.qrels.add(file, asked, query_id=query_id, group_id=group, grade=1)
    raw, shared = rows.corpus(name), Counter(group_of.values())
    several = sum(count > 1 for count in shared.values())
    told = (
        f"{several:,} groups hold paragraphs of several languages that answer the same questions: comparable, not "
        f"translations of one another. {len(shared) - several:,} paragraphs are groups of their own."
    )
    return replace(raw, notes=(told,))


def _files(directory: Path) -> dict[str, dict[str, Path]]:
    """Of each language its file of each split."""
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


def _passages(path: Path, problems: list[str]) -> list[Passage]:
    """Each distinct paragraph once: a paragraph that stands there again brings its further questions."""
    found: dict[str, Passage] = {}
    for a, article in enumerate(articles_of(path, problems)):
        for p, paragraph in enumerate(article.paragraphs):
            questions = tuple((asked.id, asked.question) for asked in paragraph.qas)
            before = found.get(paragraph.context) or Passage(f"a{a:04}-p{p:02}", paragraph.context, ())
            found[paragraph.context] = before._replace(questions=before.questions + questions)
    return list(found.values())


def _groups(texts: Mapping[str, list[Passage]]) -> dict[tuple[str, str], str]:
    """The group of each passage: that of the passages, one a language at most, that answer the same questions.

    Where two of one language answer questions that one of another does, none of them is grouped.
    """
    from scipy.sparse import coo_array  # half a second to import
    from scipy.sparse.csgraph import connected_components

    passages = [(lang, passage) for lang, found in texts.items() for passage in found]
    answers = [(at, key) for at, (_, passage) in enumerate(passages) for key, _ in passage.questions]
    # each passage to the first that answers the same question
    first = {key: at for at, key in reversed(answers)}
    ends = ([at for at, _ in answers], [first[key] for _, key in answers])
    size = len(passages)
    _, component = connected_components(coo_array(([True] * len(answers), ends), shape=(size, size)), directed=False)
    members: dict[int, list[int]] = {}
    for at, number in enumerate(component.tolist()):
        members.setdefault(number, []).append(at)
    groups: dict[tuple[str, str], str] = {}
    for together in members.values():
        langs = [passages[at][0] for at in together]
        is_clear = len(set(langs)) == len(langs)
        for at in together:
            lang, passage = passages[at]
            of_lang, named = passages[together[0]] if is_clear else (lang, passage)
            groups[lang, passage.key] = f"{of_lang}-{named.key}"
    return groups
