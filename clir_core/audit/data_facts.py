"""What is known of an audit's data before any figure: DataFacts, and the sentences that say what of it matters."""

from collections.abc import Iterator

from pydantic import Field

from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH
from clir_core.spec import Spec

_LISTED = 3  # languages that a sentence names
_OWN_TOKENS = "Longest query or document that the checkpoint would read by itself, where it was asked to read less"
_EVEN = (0.4, 0.6)  # a share of the pivot that needs no word


class Cuts(Spec):
    """Texts that a checkpoint does not read to their ends, by language; a language is missing where it is not known."""

    documents: dict[str, int] = Field({})
    queries: dict[str, int] = Field({})
    own_tokens: dict[str, int] = Field({}, description=_OWN_TOKENS)


class LanguageFacts(Spec):
    """Counts of one language's texts, as they are embedded: a title goes before its document."""

    lang: str
    documents: int
    queries: int
    duplicate_documents: int = Field(description="Documents whose text another document before them has")
    duplicate_queries: int
    untranslated_documents: int | None = Field(
        description="Documents with the text of their version in the pivot, but for Unicode's forms and white space; "
        "null for the pivot"
    )
    untranslated_queries: int | None
    title_queries: int = Field(
        0, description="Queries that are, but for case and white space, the title of a document of their language"
    )
    document_queries: int = Field(
        0,
        description="Queries that are, but for case and white space, the text of a document of their language; without "
        "those that are a document themselves",
    )
    suspected_labels: int = Field(description="Documents and queries in a script that the language is not written in")
    suspected_examples: tuple[str, ...] = ()
    cut_documents: int | None = Field(
        None, description="Documents that the checkpoint does not read to their end; null where that is not known"
    )
    cut_queries: int | None = None
    english_share: float | None = Field(
        None, description="Of the documents in the pivot and this language, those in the pivot; null for it"
    )


class SmallPool(Spec):
    """A pool that holds no more documents than the largest cutoff."""

    scenario: str
    query_lang: str
    lang: str | None
    documents: int = Field(description="At most, where each query has its own")


class DataFacts(Spec):
    """What an audit's figures rest on: a row a language, the pivot first, and what holds for the whole."""

    languages: tuple[LanguageFacts, ...]
    pivot: str = ENGLISH
    questions: int = Field(description="Queries with a gold; translations count as one")
    passages: int = Field(description="Groups of documents that a question asks about")
    questions_per_passage: float = Field(description="Mean over these passages; 0 where there are none")
    most_questions: int = Field(description="About one passage")
    cutoff: int = Field(description="The largest")
    small_pools: tuple[SmallPool, ...] = ()
    own_tokens: dict[str, int] = Field({}, description=_OWN_TOKENS)
    notes: tuple[str, ...] = Field(
        (), description="What was read, and how, where it could have been otherwise; what the ranking found out"
    )


def sentences(facts: DataFacts) -> tuple[str, ...]:
    """What a reader should know before the figures: nothing that is zero, or as it should be."""
    same = f"the text of their {language_name(facts.pivot)} version"
    return (
        *facts.notes,
        *_each(facts, "duplicate_documents", "documents", ("repeats", "repeat"), "an earlier text"),
        *_each(facts, "duplicate_queries", "queries", ("repeats", "repeat"), "an earlier text"),
        *_each(facts, "untranslated_documents", "documents", ("has", "have"), same),
        *_each(facts, "untranslated_queries", "queries", ("has", "have"), same),
        *_each(facts, "title_queries", "queries", ("is", "are"), "the title of a document, which stands in its text"),
        *_each(facts, "document_queries", "queries", ("is", "are"), "the whole text of a document"),
        *_suspected(facts),
        *_each(facts, "cut_documents", "documents", ("is", "are"), _longer(facts, "document")),
        *_each(facts, "cut_queries", "queries", ("is", "are"), _longer(facts, "query")),
        *_shared_passages(facts),
        *_uneven(facts),
        *_small(facts),
    )


def _longer(facts: DataFacts, kind: str) -> str:
    """Than what texts are that are cut: what the checkpoint reads, or less, where less was asked for."""
    own = facts.own_tokens.get(kind)
    if not own:
        return "longer than the checkpoint reads"
    return f"longer than was asked to be read, and the checkpoint reads {own:,} tokens (--encoding.max-tokens {own})"


def _each(facts: DataFacts, field: str, of: str, verb: tuple[str, str], rest: str) -> Iterator[str]:
    """One sentence for all languages that have any: the three with the largest share by name."""
    found = [
        (language_name(row.lang), getattr(row, field), getattr(row, of))
        for row in facts.languages
        if getattr(row, field)
    ]
    found.sort(key=lambda row: -row[1] / row[2])
    if not found:
        return
    (name, n, total), *others = found
    named = [f"{other}: {_part(count, of_all)}" for other, count, of_all in others[: _LISTED - 1]]
    if more := others[_LISTED - 1 :]:
        languages = "language" if len(more) == 1 else "languages"
        named.append(f"{len(more)} more {languages}: at most {_percent(more[0][1] / more[0][2])}")
    first = f"{name}: {n:,} of {total:,} {of} ({_percent(n / total)}) {verb[n > 1]} {rest}"
    yield "; ".join([first, *named]) + "."


def _suspected(facts: DataFacts) -> Iterator[str]:
    found = sorted((row for row in facts.languages if row.suspected_labels), key=lambda row: -row.suspected_labels)
    if not found:
        return
    named = [
        f"{language_name(row.lang)} {row.suspected_labels:,} ({', '.join(row.suspected_examples)}"
        f"{', ...' if row.suspected_labels > len(row.suspected_examples) else ''})"
        for row in found[:_LISTED]
    ]
    if more := found[_LISTED:]:
        named.append(f"{len(more)} more {'language' if len(more) == 1 else 'languages'}")
    yield f"Perhaps labelled with the wrong language, by their script: {', '.join(named)}."


def _shared_passages(facts: DataFacts) -> Iterator[str]:
    if facts.most_questions > 1:
        passages = "passage" if facts.passages == 1 else "passages"
        yield (
            f"{facts.questions:,} questions ask about {facts.passages:,} {passages}, "
            f"{facts.questions_per_passage:.1f} a passage on average and at most {facts.most_questions:,}."
        )


def _uneven(facts: DataFacts) -> Iterator[str]:
    found = [
        (row.english_share, row.lang)
        for row in facts.languages
        if row.english_share is not None and not _EVEN[0] <= row.english_share <= _EVEN[1]
    ]
    found.sort(key=lambda pair: -abs(pair[0] - 0.5))
    if found:
        named = [f"{_percent(share)} beside {language_name(lang)}" for share, lang in found[:_LISTED]]
        more = f", uneven beside {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        whose = f"{language_name(facts.pivot)}'s share"
        yield f"{whose} of the documents in pools of two languages: {', '.join(named)}{more}."


def _small(facts: DataFacts) -> Iterator[str]:
    if not facts.small_pools:
        return
    by_scenario: dict[str, set[str]] = {}
    for pool in facts.small_pools:
        langs = by_scenario.setdefault(pool.scenario.partition("(")[0], set())
        if pool.lang:  # nway has one pool of all languages
            langs.add(pool.lang)
    named = [f"{name} ({', '.join(sorted(langs))})" if langs else name for name, langs in by_scenario.items()]
    yield (
        f"No more documents than the cutoff {facts.cutoff} are in the pools of {'; '.join(named)}: whatever the model, "
        f"all of them are among the first {facts.cutoff}."
    )


def _part(n: int, total: int) -> str:
    return f"{n:,} of {total:,} ({_percent(n / total)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "below 0.1 %"
