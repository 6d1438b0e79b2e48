"""Which of a corpus's languages are read, whatever their codes: the pivot and those asked for, if it has them."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from clir_core.corpus.lang import canonical, closest, is_language, language_name, language_problem
from clir_core.corpus.pivot import ENGLISH
from clir_core.errors import CorpusError
from clir_core.sources.asked import Asked

_Place = TypeVar("_Place")


def choose_languages(
    asked: Sequence[str], available: Collection[str], corpus: str, pivot: str = ENGLISH
) -> tuple[str, ...]:
    """The pivot and the languages asked for; all that are available where none is asked for. The pivot comes first.

    `available` has those of most documents first, where that is known. CorpusError with every language that is not
    there, or is none.
    """
    has = f"it has documents in {', '.join(sorted(available)) or 'none'}"
    asked = [canonical(code) for code in asked]
    problems = [_problem(code, available, has) for code in dict.fromkeys(asked) if code not in available]
    if pivot not in available and pivot not in asked:
        problems.append(_no_pivot(pivot, available, has))
    chosen = (pivot, *sorted(set(asked or available) - {pivot}))
    # folders and files may be named after anything
    problems += [problem for code in chosen if code in available and (problem := language_problem(code))]
    if problems:
        raise CorpusError(f"corpus {corpus} cannot be read in the languages asked for", problems)
    return chosen


def choose_places(asked: Asked, found: Iterable[tuple[str, _Place]], corpus: str) -> dict[str, _Place]:
    """Of each language that is read the folder or file that is found under its code; `choose_languages` says which.

    CorpusError, too, where two codes are one of these languages.
    """
    places: dict[str, list[_Place]] = {}
    for code, place in found:
        places.setdefault(canonical(code), []).append(place)
    chosen = choose_languages(asked.languages, places, corpus, asked.reading.pivot)
    twice = [
        f"{' and '.join(map(str, places[lang]))} are both in {lang}; keep one of them, or ask for other languages"
        for lang in chosen
        if len(places[lang]) > 1
    ]
    if twice:
        raise CorpusError(f"corpus {corpus} has languages twice", twice)
    return {lang: places[lang][0] for lang in chosen}


def code_notes(codes: Iterable[str]) -> list[str]:
    """What is said of codes that BCP-47 writes otherwise; nothing where there are none."""
    others = [f"{code} as {canonical(code)}" for code in sorted(set(codes)) if canonical(code) != code]
    return [f"Codes of languages were read as BCP-47 writes them: {', '.join(others)}."] if others else []


def _no_pivot(pivot: str, available: Collection[str], has: str) -> str:
    if not is_language(pivot):
        return f"pivot {pivot!r} is not a BCP-47 code, {has}; set pivot to one of these"
    meant, name = closest(pivot, available), language_name(pivot)
    if meant:
        hint = f"write {pivot!r} for {meant!r}, or set pivot to it: --pivot {meant}"
    else:
        first = next(iter(available), None)
        way = f", or hold the others against another language, such as --pivot {first}" if first else ""
        hint = f"an audit compares with {name}: add its documents{way}"
    return f"{name} ({pivot!r}) is not in the corpus, {has}; {hint}"


def _problem(code: str, available: Collection[str], has: str) -> str:
    meant = closest(code, available)
    hint = f"did you mean {meant!r}?" if meant else "ask for one of these"
    wrong = "is not in the corpus" if is_language(code) else "is not a BCP-47 code"
    return f"language {code!r} {wrong}, {has}; {hint}"
