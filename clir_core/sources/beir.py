"""BEIR's layout: corpus.jsonl, queries.jsonl and qrels/NAME.tsv, in one folder or in one folder a language.

In one folder, lines carry `lang` (or `language`), and `group_id` where documents are translations of one another; both
may stand in `metadata`. In one folder a language, the folder's name is the language, ids begin with it, and
`clir_core.sources.parts` says what equal ids are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from clir_core.corpus.lang import is_same_language
from clir_core.corpus.tables import DOCUMENTS, QUERIES, further_columns
from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked, choose_split, split_note
from clir_core.sources.choice import choose_places, code_notes
from clir_core.sources.endings import listed, stem_of
from clir_core.sources.lines import TABLES, find, read_rows
from clir_core.sources.names import candidates, names_text
from clir_core.sources.parts import Part, joined
from clir_core.sources.qrel_lines import ENDINGS, read_qrels
from clir_core.sources.rows import RawCorpus, Rows
from clir_core.sources.values import id_of, text_of

_SCHEMAS = {"documents": DOCUMENTS, "queries": QUERIES}
_HEADLESS = {"documents": ("doc_id", "text"), "queries": ("query_id", "text")}


@dataclass(frozen=True)
class _Folder:
    """One folder; `lang` is its language, or None where the lines say it."""

    path: Path
    lang: str | None

    @property
    def name(self) -> str:
        return self.lang or self.path.name

    def qrels(self) -> dict[str, list[Path]]:
        """Its qrels by split."""
        found: dict[str, list[Path]] = {}
        for path in sorted(path for ending in ENDINGS for path in (self.path / "qrels").glob(f"*{ending}")):
            found.setdefault(stem_of(path), []).append(path)
        return found

    def others(self) -> Iterator[Path]:
        """Files that may be meant for qrels, and are not where these are, or not of their kinds."""
        return (path for pattern in ("qrels/*", "*qrel*") for path in self.path.glob(pattern) if path.is_file())


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The corpus in this folder, row by row; one CorpusError with every row that cannot be used."""
    folders = _folders(directory, asked)
    problems: list[str] = []
    texts = [_texts(folder, asked, problems) for folder in folders]
    qrels, notes = _splits(directory, folders, asked, problems)
    renamed = asked.reading.of_table("qrels")
    parts = [
        Part(folder.lang, documents, queries, read_qrels(qrels[folder.name], renamed, problems))
        for folder, (documents, queries) in zip(folders, texts, strict=True)
        if qrels
    ]
    if problems:
        raise CorpusError(f"BEIR corpus {directory} cannot be read, problems: {len(problems)}", problems)
    notes += code_notes(folder.path.name for folder in folders if folder.lang)
    notes += [f"{part.lang} has no document of its own." for part in parts if part.lang and not len(part.documents)]
    return joined(directory.resolve().name, parts, asked.reading, notes)


def _folders(directory: Path, asked: Asked) -> list[_Folder]:
    found = sorted(path for ending in TABLES for path in directory.glob(f"*/corpus{ending}*"))
    by_code = {path.parent.name: path.parent for path in found}
    flat = any(path for ending in TABLES for path in directory.glob(f"corpus{ending}*"))
    if flat and by_code:
        raise CorpusError(
            f"{directory} holds corpus.jsonl and folders with one ({', '.join(by_code)}); keep one layout of the two"
        )
    if flat:
        return [_Folder(directory, None)]
    if not by_code:
        raise CorpusError(
            f"{directory} holds no corpus.jsonl, {listed(directory.iterdir())}; give the folder that has corpus.jsonl, "
            "queries.jsonl and qrels/, or that has one such folder a language (en/, zh/)"
        )
    chosen = choose_places(asked, by_code.items(), directory.resolve().name)
    return [_Folder(path, lang) for lang, path in chosen.items()]


def _splits(
    directory: Path, folders: Sequence[_Folder], asked: Asked, problems: list[str]
) -> tuple[dict[str, Path], list[str]]:
    """Each folder's qrels of one split, and what is said of the choice."""
    there = {folder.name: folder.qrels() for folder in folders}
    empty = [folder for folder in folders if not there[folder.name]]
    problems += [
        f"{folder.path / 'qrels'} has no *.tsv, nor .csv, .txt, .trec, .jsonl or packed ones, "
        f"{listed(folder.others())}; it needs test.tsv, dev.tsv or train.tsv"
        for folder in empty
    ]
    twice = [paths for names in there.values() for paths in names.values() if len(paths) > 1]
    problems += [f"{' and '.join(map(str, paths))} are both there; keep one" for paths in twice]
    if empty or twice:
        return {}, []
    split = choose_split({name: list(files) for name, files in there.items()}, asked, f"{directory}, its qrels")
    chosen = {name: files[split][0] for name, files in there.items()}
    read = [str(path.relative_to(directory)) for path in chosen.values()]
    others = [str(paths[0].relative_to(directory)) for files in there.values() for paths in files.values()]
    return chosen, [split_note(read, [name for name in others if name not in read])]


def _texts(folder: _Folder, asked: Asked, problems: list[str]) -> tuple[pa.Table, pa.Table]:
    """Documents and queries."""
    tables = []
    for what, stem in (("documents", "corpus"), ("queries", "queries")):
        path = find(folder.path, stem, problems)
        reader = _Reader(what, folder.lang, asked.reading.of_table(what))
        tables.append(reader.table(path, problems) if path else Rows(_SCHEMAS[what]).table())
    return tables[0], tables[1]


@dataclass
class _Reader:
    """Reads rows of documents or queries, whose columns may have any known name."""

    what: str
    lang: str | None
    asked: Mapping[str, str]

    def __post_init__(self) -> None:
        self._named: dict[tuple[str, ...], dict[str, str]] = {}

    def table(self, path: Path, problems: list[str]) -> pa.Table:
        rows = Rows(_SCHEMAS[self.what])
        for number, row in read_rows(path, _HEADLESS[self.what], problems, self.asked.values()):
            place = f"{path}, row {number}"
            names = self._names(row, str(path), place, problems)
            values = self._values(row, names, place, problems)
            further = _further(row, names.values()) if self.what == "queries" else {}
            rows.add(path, number, further, **values)
        return rows.table()

    def _names(self, row: Mapping[str, Any], file: str, place: str, problems: list[str]) -> dict[str, str]:
        """Of each of our columns, theirs in rows of these names."""
        has = tuple(row)
        if has not in self._named:
            names: dict[str, str] = {}
            self._named[has] = names
            for column in _SCHEMAS[self.what].names:
                # BEIR's own name, whatever else a row has
                is_beir = column in ("doc_id", "query_id") and "_id" in has and column not in self.asked
                found = ["_id"] if is_beir else candidates(has, self.what, column, self.asked)
                if len(found) > 1:
                    problems.append(
                        f"{place}: {column!r} may be {' or '.join(map(repr, found))}; name one by `columns`: "
                        f"{self.what}.{column}=..."
                    )
                names |= {column: found[0]} if found else {}
        return self._named[has]

    def _values(
        self, row: Mapping[str, Any], names: Mapping[str, str], place: str, problems: list[str]
    ) -> dict[str, str | None]:
        tags = row.get("metadata")
        inner = tags if isinstance(tags, dict) else {}
        values: dict[str, str | None] = {}
        for column in _SCHEMAS[self.what].names:
            raw = row.get(names[column]) if column in names else None
            if raw is None and column in ("lang", "group_id"):
                raw = next((inner[name] for name in candidates(tuple(inner), self.what, column, {})), None)
            try:
                values[column] = (id_of if column.endswith("_id") else text_of)(raw)
            except ValueError as error:
                problems.append(f"{place}: {names.get(column, column)!r}: {error}")
                values[column] = "?"
        if not values.get("title"):
            values.pop("title", None)
        if self.lang and values["lang"] and not is_same_language(values["lang"], self.lang):
            problems.append(
                f"{place}: says that it is in {values['lang']!r}, and lies in the folder of {self.lang!r}; move it, or "
                "mend one of the two"
            )
        if self.lang is None and not values["lang"]:
            problems.append(f"{place}: {self._missing('lang', row, ' to the row or to its metadata')}")
        for column in (f"{'doc' if self.what == 'documents' else 'query'}_id", "text"):
            if column not in names and not (column == "text" and values.get("title")):
                problems.append(f"{place}: {self._missing(column, row)}")
        return values

    def _missing(self, column: str, row: Mapping[str, Any], where: str = "") -> str:
        usual = "_id" if column.endswith("_id") else column
        name = f"{self.what}.{column}"
        return f"{usual!r} is missing, {names_text(tuple(row))}; add it{where}, or name it by `columns`: {name}=..."


def _further(row: Mapping[str, Any], taken: Iterable[str]) -> dict[str, str]:
    """What else a query says in text or whole numbers, in its metadata or, which counts before it, at its top."""
    tags = row.get("metadata")
    said = {**(tags if isinstance(tags, dict) else {}), **row}
    known = {*taken, "lang", "language", "group_id", "metadata"}
    found = {}
    for name in further_columns(said):
        # in JSON true is no number
        if name not in known and type(said[name]) in (str, int):
            with suppress(ValueError):  # one that is too long names nothing
                found[name] = str(text_of(said[name]))
    return found
