"""The verdict: what the figures say about each language, in sentences."""

from collections.abc import Iterator, Sequence

from clir_core.audit.figure import by_key
from clir_core.audit.result import MetricRow
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import ENGLISH
from clir_core.scenarios.distractor import NAME as DISTRACTOR
from clir_core.scenarios.label import Key
from clir_core.scenarios.multi import NAME as MULTI

# how far from even a pull must be, interval included, before a sentence names a favourite
NOTABLE_PULL = 0.1
# complete@k below these: the other version is buried, often behind, sometimes behind
BURIED, OFTEN, SOMETIMES = 0.5, 0.8, 0.95


def verdict(rows: Sequence[MetricRow], model: str, languages: Sequence[str], k: int) -> tuple[str, ...]:
    """The answer first, then for every language both directions. `languages` are those beside English."""
    figures = by_key(rows)
    sentences = [sentence for lang in languages for sentence in _of_language(figures, lang, k)]
    return (_answer(figures, model, languages), *sentences)


Figures = dict[Key, MetricRow]


def _answer(figures: Figures, model: str, languages: Sequence[str]) -> str:
    english = [lang for lang in languages if _favours_english(figures, lang)]
    own = [lang for lang in languages if _buries_english(figures, lang)]
    parts = []
    if english:
        parts.append(f"favours English over {_names(english)}")
    if own:
        parts.append(f"favours the query's own language over English in {_names(own)}")
    if not parts:
        # not the pulls themselves: where nothing outranks a gold there are none
        asked = ((MULTI, "max_at_r"), (DISTRACTOR, "inclination_rate"))
        measured = any((scenario, lang, lang, metric) in figures for scenario, metric in asked for lang in languages)
        parts.append(
            "favours neither English nor the query's language" if measured else "was not asked about inclination"
        )
    return f"{model} {' and '.join(parts)}."


def _favours_english(figures: Figures, lang: str) -> bool:
    row = figures.get((DISTRACTOR, lang, lang, "pull(x)"))
    return row is not None and _toward(row, ENGLISH)


def _buries_english(figures: Figures, lang: str) -> bool:
    row = figures.get((MULTI, lang, lang, "pull(en)"))
    return row is not None and _toward(row, lang)


def _of_language(figures: Figures, lang: str, k: int) -> Iterator[str]:
    sentence = _both_versions(figures, lang, lang, "pull(en)", k)
    if sentence:
        yield sentence
    sentence = _both_versions(figures, ENGLISH, lang, "pull(x)", k)
    if sentence:
        yield sentence
    rate = figures.get((DISTRACTOR, lang, lang, "inclination_rate"))
    if rate:
        name, span = language_name(lang), f"{_percent(rate.low)} to {_percent(rate.high)}"
        yield (
            f"{name} queries: an unrelated English document outranks the relevant {name} one for "
            f"{_percent(rate.value)} of the queries ({span})."
        )


def _both_versions(figures: Figures, query_lang: str, lang: str, pull_name: str, k: int) -> str | None:
    """How the version in the other language fares, and whose documents stand before it."""
    complete = figures.get((MULTI, query_lang, lang, f"complete@{k}"))
    worst = figures.get((MULTI, query_lang, lang, "max_at_r"))
    if complete is None or worst is None:
        return None
    query, other = language_name(query_lang), language_name(lang if query_lang == ENGLISH else ENGLISH)
    asked = f"{query} queries" if query_lang != ENGLISH else f"English queries beside {language_name(lang)}"
    found = f"both versions are among the first {k} for {_percent(complete.value)} of the queries"
    mean = f"the later one at rank {worst.value:,.1f} on average"
    pull = figures.get((MULTI, query_lang, lang, pull_name))
    if complete.value >= SOMETIMES or pull is None or not _toward(pull, query_lang):
        return f"{asked}: {found}, {mean}."
    return f"{asked}: the {other} version {_falls(complete.value)} {query} documents; {found}, {mean}."


def _toward(pull: MetricRow, lang: str) -> bool:
    """Whether a pull clearly favours this language over the other one."""
    return pull.low > NOTABLE_PULL if lang == ENGLISH else pull.high < -NOTABLE_PULL


def _falls(complete: float) -> str:
    if complete < BURIED:
        return "is buried by"
    return "often falls behind" if complete < OFTEN else "can fall behind"


def _names(languages: Sequence[str]) -> str:
    names = [language_name(lang) for lang in languages]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f} %" if 0.01 <= rate <= 0.99 or rate in (0.0, 1.0) else f"{100 * rate:.1f} %"
