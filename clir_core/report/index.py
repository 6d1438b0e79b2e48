"""The report's section on an approximate index: what it returns of the exact result, a row a language and effort."""

from dataclasses import dataclass

from clir_core.audit.index import RETURNED, IndexRow, how_hard
from clir_core.audit.result import AuditResult
from clir_core.corpus.lang import language_name
from clir_core.measure.figures import cutoff

_NOTHING = "—"


@dataclass(frozen=True)
class IndexSection:
    """Heads of the columns, and a row an effort and language."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


def index_section(result: AuditResult) -> IndexSection | None:
    """What the section shows; None where no index was asked for."""
    if not result.searched:
        return None
    k, pivot = cutoff(result), result.spec.pivot
    others = [lang for lang in result.languages if lang != pivot]
    rows = {
        (row.effort, row.query_lang, row.lang): row for row in result.searched.rows if row.metric == RETURNED.format(k)
    }
    efforts = sorted({effort for effort, *_ in rows})
    english = language_name(pivot)
    cells = tuple(
        (
            how_hard(effort, result.spec.is_graph),
            lang,
            tuple(
                _cell(rows.get((effort, query, document)))
                for query, document in ((lang, lang), (lang, pivot), (pivot, lang), (pivot, pivot))
            ),
        )
        for effort in efforts
        for lang in others
    )
    return IndexSection(
        title=f"{result.spec.index}, {result.searched.documents:,} documents"
        + (f", {result.searched.partitions:,} partitions" if not result.spec.is_graph else ""),
        heads=("X for X", f"{english} for X", f"X for {english}", f"{english} for {english}"),
        rows=cells,
    )


def _cell(row: IndexRow | None) -> str:
    return _NOTHING if row is None else f"{row.value:.3f}, n {row.n:,}"
