"""BEIR's layout: corpus.jsonl, queries.jsonl and qrels/*.tsv, in one folder or in one folder a language.

In one folder, lines carry `lang` (or `language`), and `group_id` where documents are translations of one another; both
may stand in `metadata`. In one folder a language, the folder's name is the language, ids get it as a prefix, and equal
ids in several languages are translations.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_core.errors import CorpusError
from clir_core.sources.beir_lines import Document, Query, read_lines
from clir_core.sources.choice import choose_languages
from clir_core.sources.rows import RawCorpus, RawRows

_HEADER = ("query-id", "corpus-id", "score")
_MAX_GRADE = 2**31 - 1


@dataclass(frozen=True)
class _Part:
    """One folder; `lang` is its language, or None where the lines say it."""

    folder: Path
    lang: str | None

    @property
    def prefix(self) -> str:
        return f"{self.lang}/" if self.lang else ""


def read(directory: Path, languages: Sequence[str]) -> RawCorpus:
    """The corpus in this folder, line by line; one CorpusError with every line that cannot be used."""
    parts = _parts(directory, languages)
    rows = RawRows()
    groups: dict[str, str] = {}
    problems: list[str] = []
    for part in parts:
        groups |= _add_documents(rows, part, problems)
        _add_queries(rows, part, problems)
    sizes = Counter(groups.values())
    for part in parts:  # after the documents of all languages: only then it is known what is translated
        _add_qrels(rows, part, groups, sizes, problems)
    if problems:
        raise CorpusError(f"BEIR corpus {directory} cannot be read, problems: {len(problems)}", problems)
    return rows.corpus(directory.resolve().name)


def _parts(directory: Path, languages: Sequence[str]) -> list[_Part]:
    folders = {path.parent.name: path.parent for path in sorted(directory.glob("*/corpus.jsonl"))}
    flat = (directory / "corpus.jsonl").exists()
    if flat and folders:
        raise CorpusError(
            f"{directory} holds corpus.jsonl and folders with one ({', '.join(folders)}); keep one layout of the two"
        )
    if flat:
        return [_Part(directory, None)]
    if not folders:
        raise CorpusError(
            f"{directory} holds no corpus.jsonl; give the folder that has corpus.jsonl, queries.jsonl and qrels/, "
            "or that has one such folder a language (en/, zh/)"
        )
    return [_Part(folders[lang], lang) for lang in choose_languages(languages, folders, directory.resolve().name)]


def _check_lang(path: Path, line: int, lang: str | None, problems: list[str]) -> None:
    if lang is None:
        problems.append(f"{path}, row {line}: 'lang' is missing; add it to the line or to its metadata, such as \"en\"")


def _prefixed(part: _Part, key: str | None) -> str | None:
    return part.prefix + key if key else key


def _add_documents(rows: RawRows, part: _Part, problems: list[str]) -> dict[str, str]:
    """Adds the documents; returns the group of each."""
    path = part.folder / "corpus.jsonl"
    groups = {}
    for line, document in read_lines(path, Document, problems):
        group, lang = document.parallel_group, part.lang or document.language_code
        _check_lang(path, line, lang, problems)
        values = {"doc_id": _prefixed(part, document.id), "group_id": group, "lang": lang, "text": document.text}
        rows.documents.add(path, line, **values, title=document.title or None)
        if document.id and group:
            groups[part.prefix + document.id] = group
    return groups


def _add_queries(rows: RawRows, part: _Part, problems: list[str]) -> None:
    path = part.folder / "queries.jsonl"
    for line, query in read_lines(path, Query, problems):
        lang = part.lang or query.language_code
        _check_lang(path, line, lang, problems)
        query_id = _prefixed(part, query.id)
        values = {"query_id": query_id, "group_id": query.parallel_group, "lang": lang, "text": query.text}
        rows.queries.add(path, line, query.further, **values)


def _add_qrels(rows: RawRows, part: _Part, groups: dict[str, str], sizes: Counter[str], problems: list[str]) -> None:
    path = _qrels_file(part.folder, problems)
    for line, query, target, grade in _judgements(path, problems) if path else ():
        doc_id = part.prefix + target
        group = groups.get(doc_id)
        if group is not None and part.lang and sizes[group] > 1:
            # in a folder a language, a document stands for its translations
            goal = {"group_id": group}
        elif group is None and target in sizes:
            goal = {"group_id": target}
        else:
            goal = {"doc_id": doc_id}
        rows.qrels.add(path, line, query_id=part.prefix + query, grade=grade, **goal)


def _qrels_file(folder: Path, problems: list[str]) -> Path | None:
    """test.tsv, or the only file there is, or dev.tsv, or train.tsv."""
    found = {path.name: path for path in sorted(folder.glob("qrels/*.tsv"))}
    if len(found) == 1:
        return next(iter(found.values()))
    for name in ("test.tsv", "dev.tsv", "train.tsv"):
        if name in found:
            return found[name]
    names = f"only {', '.join(found)}" if found else "no *.tsv"
    problems.append(f"{folder / 'qrels'} has {names}; it needs test.tsv (or dev.tsv, or train.tsv)")
    return None


def _judgements(path: Path, problems: list[str]) -> Iterator[tuple[int, str, str, int]]:
    """Line number, query, document or group, grade."""
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            try:
                cells = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
            except UnicodeDecodeError as error:
                problems.append(f"{path}, row {number}: byte {error.start + 1} is not UTF-8; save the file as UTF-8")
                continue
            if cells == [""] or (number == 1 and tuple(cells) == _HEADER):
                continue
            problem = _cell_problem(cells)
            if problem:
                problems.append(f"{path}, row {number}: {problem}")
            else:
                yield number, cells[0], cells[1], int(cells[2])


def _cell_problem(cells: list[str]) -> str | None:
    if len(cells) != len(_HEADER):
        return f"{len(cells)} columns, not 3; separate query-id, corpus-id and score by one tab each"
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", cells[2]) or abs(int(cells[2])) > _MAX_GRADE:
        return f"score {cells[2]!r} is not a whole number; write 0 for not relevant, 1 and more for relevant"
    if not cells[0] or not cells[1]:
        return "query-id or corpus-id is empty; write both"
    return None
