"""Which of a corpus's languages are read: English and those asked for, if it has them."""

from collections.abc import Collection, Sequence

from clir_core.corpus.lang import closest, is_language, language_problem
from clir_core.corpus.tables import ENGLISH
from clir_core.errors import CorpusError


def choose_languages(asked: Sequence[str], available: Collection[str], corpus: str) -> tuple[str, ...]:
    """English and the languages asked for; all that are available where none is asked for. English comes first.

    CorpusError with every language that is not there, or is none.
    """
    has = f"it has documents in {', '.join(sorted(available)) or 'none'}"
    problems = [_problem(code, available, has) for code in dict.fromkeys(asked) if code not in available]
    if ENGLISH not in available and ENGLISH not in asked:
        meant = closest(ENGLISH, available)
        hint = f"write {ENGLISH!r} for {meant!r}" if meant else "an audit compares with English: add its documents"
        problems.append(f"English ({ENGLISH!r}) is not in the corpus, {has}; {hint}")
    chosen = (ENGLISH, *sorted(set(asked or available) - {ENGLISH}))
    # folders and files may be named after anything
    problems += [problem for code in chosen if code in available and (problem := language_problem(code))]
    if problems:
        raise CorpusError(f"corpus {corpus} cannot be read in the languages asked for", problems)
    return chosen


def _problem(code: str, available: Collection[str], has: str) -> str:
    meant = closest(code, available)
    hint = f"did you mean {meant!r}?" if meant else "ask for one of these"
    wrong = "is not in the corpus" if is_language(code) else "is not a BCP-47 code"
    return f"language {code!r} {wrong}, {has}; {hint}"
