"""What an approximate index returned: figures of it, in results and reports."""

from pydantic import Field

from clir_core.spec import Spec


class ServedRow(Spec):
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


class Served(Spec):
    """An index of the pools of all languages, and what it returns of their exact result."""

    documents: int
    partitions: int
    similarity: str
    rows: tuple[ServedRow, ...]
