"""The report's section on the data: a row a language of what was found, and what was looked for and not found."""

from dataclasses import dataclass

from clir_core.audit.data_facts import DataFacts, LanguageFacts, sentences
from clir_core.corpus.lang import language_name

# group, head and field of each count; of documents and queries there is always one
_COUNTS = (
    ("Documents", "all", "documents"),
    ("Documents", "repeated", "duplicate_documents"),
    ("Documents", "untranslated", "untranslated_documents"),
    ("Documents", "cut", "cut_documents"),
    ("Queries", "all", "queries"),
    ("Queries", "repeated", "duplicate_queries"),
    ("Queries", "untranslated", "untranslated_queries"),
    ("Queries", "cut", "cut_queries"),
    ("Queries", "a title", "title_queries"),
    ("Queries", "a document", "document_queries"),
    ("Both", "perhaps mislabelled", "suspected_labels"),
)
_UNKNOWN = "—"


@dataclass(frozen=True)
class DataSection:
    """Heads (group, name) of the columns that hold something, a row a language, and sentences."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    sentences: tuple[str, ...]
    unknown: bool

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Groups of neighbouring columns: name, and how many."""
        names = [group for group, _ in self.heads]
        return [(name, names.count(name)) for name in dict.fromkeys(names)]


def data_section(facts: DataFacts | None) -> DataSection | None:
    """What the section shows; None where the result holds no facts."""
    if facts is None:
        return None
    shown = [count for count in _COUNTS if any(getattr(row, count[2]) for row in facts.languages)]
    heads = [(group, head) for group, head, _ in shown]
    rows = [(row.lang, [_number(getattr(row, field)) for *_, field in shown]) for row in facts.languages]
    if any(row.english_share is not None for row in facts.languages):
        pivot = language_name(facts.pivot)
        heads.append((f"Pool with {pivot}", pivot))
        for row, (_, cells) in zip(facts.languages, rows, strict=True):
            cells.append(_UNKNOWN if row.english_share is None else f"{row.english_share:.1%}".replace("%", " %"))
    return DataSection(
        heads=tuple(heads),
        rows=tuple((lang, tuple(cells)) for lang, cells in rows),
        sentences=sentences(facts),
        unknown=any(_is_unknown(row) for row in facts.languages),
    )


def _is_unknown(row: LanguageFacts) -> bool:
    return row.cut_documents is None or row.cut_queries is None


def _number(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"
