"""The report's section on an approximate index: what it returns of the exact result, and a sentence an effort."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from clir_core.audit.result import AuditResult
from clir_core.audit.served import ServedRow
from clir_core.corpus.lang import language_name
from clir_core.measure.figures import cutoff
from clir_core.measure.served import RETURNED

_NOTHING = "—"


@dataclass(frozen=True)
class ServedSection:
    """Heads of the columns, a row an effort and language, and sentences."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    sentences: tuple[str, ...]


def served_section(result: AuditResult) -> ServedSection | None:
    """What the section shows; None where no index was asked for."""
    if not result.served:
        return None
    k, pivot = cutoff(result), result.spec.pivot
    others = [lang for lang in result.languages if lang != pivot]
    rows = {
        (row.effort, row.query_lang, row.lang): row for row in result.served.rows if row.metric == RETURNED.format(k)
    }
    efforts = sorted({effort for effort, *_ in rows})
    english = language_name(pivot)
    cells = tuple(
        (
            how_hard(result, effort),
            lang,
            tuple(
                _cell(rows.get((effort, query, document)))
                for query, document in ((lang, lang), (lang, pivot), (pivot, lang), (pivot, pivot))
            ),
        )
        for effort in efforts
        for lang in others
    )
    return ServedSection(
        title=f"{result.spec.index}, {result.served.documents:,} documents"
        + (f", {result.served.partitions:,} partitions" if not result.spec.is_graph else ""),
        heads=("X for X", f"{english} for X", f"X for {english}", f"{english} for {english}"),
        rows=cells,
        sentences=tuple(_sentences(result, rows, efforts, others, k)),
    )


def how_hard(result: AuditResult, effort: int) -> str:
    """The effort of a search, in words."""
    return f"ef {effort:,}" if result.spec.is_graph else f"{effort:,} probed"


def _sentences(
    result: AuditResult,
    rows: dict[tuple[int, str, str], ServedRow],
    efforts: list[int],
    others: list[str],
    k: int,
) -> Iterator[str]:
    pivot = result.spec.pivot
    for effort in efforts:
        own = [row.value for lang in others if (row := rows.get((effort, lang, lang)))]
        across = [(row.value, lang) for lang in others if (row := rows.get((effort, lang, pivot)))]
        if not own or not across:
            continue
        worst, lang = min(across)
        yield (
            f"{how_hard(result, effort).capitalize()}: of the first {k} by exact search, the index returns "
            f"{fmean(own):.0%} of the documents in the query's own language and "
            f"{fmean(value for value, _ in across):.0%} of those in {language_name(pivot)}, on average over languages; "
            f"least for {language_name(lang)} queries, {worst:.0%}."
        )


def _cell(row: ServedRow | None) -> str:
    return _NOTHING if row is None else f"{row.value:.3f}"
