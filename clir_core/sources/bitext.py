"""Lines in parallel files, a file a language, as FLORES, NTREX and OPUS have them: NAME.LANG, NAME.LANG.txt, LANG.dev.
They may be packed as .gz or .zst.

Line n of every file is one group. A bitext has no questions: every line asks for its translations, as in bitext mining.
As a query a line is its own document too, which is in none of its pools, so it has golds in other languages alone:
`cross` is asked, and `mono`, `multi`, `distractor` and `nway`, which need one in the query's own, ask nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from clir_core.corpus.lang import canonical, is_language
from clir_core.errors import CorpusError
from clir_core.sources.asked import USUAL, Asked, choose_split, split_note
from clir_core.sources.choice import choose_places
from clir_core.sources.endings import listed, unpacked
from clir_core.sources.lines import decoded, read_lines
from clir_core.sources.rows import RawCorpus, RawRows

_NO_CODES = (".txt", ".dev", ".devtest", ".test", ".train")  # of which some are languages nevertheless
# endings of what lies beside lines: codes of languages, too, that no bitext is known in
_OTHERS = re.compile(
    r"\.(bin|bpe|cfg|csv|dic|doc|err|ids|lex|log|lst|md|npy|old|par|pos|raw|seg|sgm|spm|src|srt|tag|tar|tmp|tsv|wav|xml|yml)"
)
_NAMED = 4  # files that a note names


class _File(NamedTuple):
    """One file: the code of its language, and what else its name says: its part, perhaps a split."""

    code: str
    part: str
    path: Path


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The lines of the pivot and the languages asked for. CorpusError where files have not equally many lines.

    Files are in the folder, or in folders in it that are named after splits. A line that is empty in one language is
    left out there.
    """
    if asked.reading.columns:
        raise CorpusError(f"{directory}: a bitext has no columns; leave `columns` out")
    found = _files(directory)
    part = _part(found, asked, directory)
    read = [(file.code, file.path) for file in found if part in (None, file.part)]
    chosen = choose_places(asked, read, directory.resolve().name)
    problems: list[str] = []
    texts = {lang: _lines(path, problems) for lang, path in chosen.items()}
    lengths = {str(chosen[lang]): last for lang, (_, last) in texts.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{file} {last:,}" for file, last in lengths.items())
        problems.append(f"the files have not as many lines as one another ({told}); take them from one release")
    if problems:
        raise CorpusError(f"bitext {directory} cannot be read, problems: {len(problems)}", problems)
    named = {lang: (str(chosen[lang]), lines) for lang, (lines, _) in texts.items()}
    raw = tables(directory.resolve().name, named, asked.reading.pivot if asked.texts else None)
    names = [str(path.relative_to(directory)) for path in chosen.values()]
    more = [f"and {len(names) - _NAMED:,} more"] if len(names) > _NAMED else []
    others = sorted({file.part or "those of no part" for file in found} - {part}) if part else []
    return replace(raw, notes=(split_note([*names[:_NAMED], *more], others, "Lines"),))


def tables(name: str, texts: Mapping[str, tuple[str, Mapping[int, str]]], pivot: str | None = None) -> RawCorpus:
    """Of each language the file and its lines by their numbers, from 1. With a pivot, only pairs with it are judged."""
    rows = RawRows()
    for lang, (file, lines) in texts.items():
        judged = texts if pivot is None or lang == pivot else {pivot: texts[pivot]}
        for number, text in lines.items():
            key, group = f"{lang}/{number}", str(number)
            rows.documents.add(file, number, doc_id=key, group_id=group, lang=lang, text=text)
            rows.queries.add(file, number, query_id=key, group_id=group, lang=lang, text=text)
            for other, (_, translations) in judged.items():
                if other != lang and number in translations:
                    rows.qrels.add(file, number, query_id=key, doc_id=f"{other}/{number}", grade=1)
    return rows.corpus(name)


def _part(found: Sequence[_File], asked: Asked, directory: Path) -> str | None:
    """The part to read; None where files are not of several, and all are read."""
    parts = {file.part for file in found}
    if not asked.split and not parts.intersection(USUAL):
        return None
    there = {lang: list[str]() for lang in sorted(canonical(file.code) for file in found)}
    for file in found:
        there[canonical(file.code)] += [file.part] if file.part else []
    return choose_split(there, asked, str(directory))


def _files(directory: Path) -> list[_File]:
    for pattern in ("*", "*/*"):
        paths = sorted(path for path in directory.glob(pattern) if path.is_file())
        if found := [file for path in paths if (file := _file(path, "" if pattern == "*" else path.parent.name))]:
            return found
    raise CorpusError(
        f"{directory} has no file named after its language, such as en.txt or dev.en, {listed(directory.iterdir())}; "
        "rename them"
    )


def _file(path: Path, part: str) -> _File | None:
    """What a file's name says; None where it names no language. `part` is what its folder says."""
    name = unpacked(path)
    before, code = name.stem, name.suffix.removeprefix(".")
    if name.suffix in _NO_CODES:
        before, _, code = name.stem.rpartition(".")
        before = before if name.suffix == ".txt" else name.suffix.removeprefix(".")
    return _File(code, part or before, path) if is_language(code) and not _OTHERS.fullmatch(name.suffix) else None


def _lines(path: Path, problems: list[str]) -> tuple[dict[int, str], int]:
    """The lines that are not empty, and the number of the last."""
    lines, last = {}, 0
    for number, raw in read_lines(path, problems):
        text = decoded(path, number, raw, problems)
        lines[number], last = (text or "").strip(), number
    return lines, last
