"""Lines in parallel files, a file a language, as FLORES, NTREX and OPUS have them: NAME.LANG, NAME.LANG.txt, LANG.dev.

Line n of every file is one group. A bitext has no questions: every line asks for its translations, as in bitext mining.
As a query a line is its own document too, which is in none of its pools, so it has golds in other languages alone:
`cross` is asked, and `mono`, `multi`, `distractor` and `nway`, which need one in the query's own, ask nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from clir_core.corpus.lang import canonical, is_language
from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked
from clir_core.sources.choice import choose_languages
from clir_core.sources.lines import decoded, read_lines
from clir_core.sources.rows import RawCorpus, RawRows

_NO_CODES = (".txt", ".dev", ".devtest", ".test", ".train")  # of which some are languages nevertheless
_OTHERS = (".md", ".tsv", ".csv")  # which are codes of languages, too, or no lines


def read(directory: Path, asked: Asked) -> RawCorpus:
    """The lines of the pivot and the languages asked for. CorpusError where files have not equally many lines.

    A line that is empty in one language is left out there.
    """
    files = _files(directory)
    if asked.split or asked.reading.columns:
        raise CorpusError(f"{directory}: a bitext has neither splits nor columns; leave them out")
    chosen = choose_languages(asked.languages, files, directory.resolve().name, asked.reading.pivot)
    problems: list[str] = []
    texts = {lang: _lines(files[lang], problems) for lang in chosen}
    lengths = {str(files[lang]): last for lang, (_, last) in texts.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{file} {last:,}" for file, last in lengths.items())
        problems.append(f"the files have not as many lines as one another ({told}); take them from one release")
    if problems:
        raise CorpusError(f"bitext {directory} cannot be read, problems: {len(problems)}", problems)
    return tables(directory.resolve().name, {lang: (str(files[lang]), lines) for lang, (lines, _) in texts.items()})


def tables(name: str, texts: Mapping[str, tuple[str, Mapping[int, str]]]) -> RawCorpus:
    """Of each language the file and its lines by their numbers, from 1."""
    rows = RawRows()
    for lang, (file, lines) in texts.items():
        for number, text in lines.items():
            key, group = f"{lang}/{number}", str(number)
            rows.documents.add(file, number, doc_id=key, group_id=group, lang=lang, text=text)
            rows.queries.add(file, number, query_id=key, group_id=group, lang=lang, text=text)
            for other, (_, translations) in texts.items():
                if other != lang and number in translations:
                    rows.qrels.add(file, number, query_id=key, doc_id=f"{other}/{number}", grade=1)
    return rows.corpus(name)


def _files(directory: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(path for path in directory.iterdir() if path.is_file()):
        code = path.stem.rpartition(".")[2] if path.suffix in _NO_CODES else path.suffix.removeprefix(".")
        if not is_language(code) or path.suffix in _OTHERS:
            continue
        lang = canonical(code)
        if lang in found:
            raise CorpusError(f"{found[lang]} and {path} are both in {lang}; keep one of them in the folder")
        found[lang] = path
    if not found:
        raise CorpusError(f"{directory} has no file named after its language, such as en.txt or dev.en; rename them")
    return found


def _lines(path: Path, problems: list[str]) -> tuple[dict[int, str], int]:
    """The lines that are not empty, and the number of the last."""
    lines, last = {}, 0
    for number, raw in read_lines(path, problems):
        text = decoded(path, number, raw, problems)
        lines[number], last = (text or "").strip(), number
    return lines, last
