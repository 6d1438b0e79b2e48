"""What an approximate index returned: figures of it, in results and reports."""

from collections.abc import Iterator
from statistics import fmean

from pydantic import Field

from clir_core.corpus.lang import language_name
from clir_core.spec import Spec

RETURNED, FOUND = "index_recall@{}", "gold_recall@{}"
FEWEST = 10  # queries, of fewer no sentence speaks


class IndexRow(Spec):
    """One figure of one index at one effort, the mean over queries with its 95 % interval over clusters of them."""

    effort: int = Field(description="Partitions looked into (nprobes), or candidates kept in a graph (ef)")
    query_lang: str
    lang: str = Field(description="Of the documents")
    metric: str = Field(
        description="index_recall@k: share of the documents in this language among the exact first k that the index "
        "returns; gold_recall@k: share of the golds in it among the first k of the index"
    )
    value: float
    low: float
    high: float
    n: int = Field(description="Queries that have such documents")
    clusters: int
    exact: float = Field(description="The same by exact search; 1 for index_recall@k")


class Searched(Spec):
    """An index of the pools of all languages, and what it returns of their exact result."""

    documents: int
    partitions: int
    similarity: str
    rows: tuple[IndexRow, ...]


def how_hard(effort: int, is_graph: bool) -> str:
    """The effort of a search, in words."""
    return f"ef {effort:,}" if is_graph else f"{effort:,} probed"


def sentences(searched: Searched, k: int, pivot: str, is_graph: bool) -> Iterator[str]:
    """What the index returns of the exact first k, a sentence an effort: of one's own language, and of the pivot."""
    rows = [row for row in searched.rows if row.metric == RETURNED.format(k)]
    for effort in sorted({row.effort for row in rows}):
        mine = [row for row in rows if row.effort == effort and row.query_lang != pivot]
        own = [row for row in mine if row.lang == row.query_lang]
        across = [row for row in mine if row.lang == pivot]
        told = [row for row in across if row.n >= FEWEST]
        if own and told:
            least = min(told, key=lambda row: (row.value, row.query_lang))
            own_share, share = _percent(fmean(row.value for row in own)), _percent(fmean(row.value for row in across))
            yield (
                f"Index, {how_hard(effort, is_graph)}: of the exact first {k} it returns {own_share} of the documents "
                f"in the query's own language and {share} of those in {language_name(pivot)}, on average over "
                f"languages; least for {language_name(least.query_lang)} queries, {_percent(least.value)} (95 % "
                f"interval {_percent(least.low)} to {_percent(least.high)}; {least.n:,} have any)."
            )


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
