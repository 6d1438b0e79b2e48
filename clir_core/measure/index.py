"""What an approximate index returns of the exact result: by language of query and document, with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from clir_core.audit.index import FOUND, RETURNED, IndexRow
from clir_core.measure.interval import clustered_means

_KEYS = ["query_lang", "lang"]


def index_rows(
    exact: pl.DataFrame,
    found: Mapping[int, pl.DataFrame],
    golds: pl.DataFrame,
    clusters: pl.DataFrame,
    cutoffs: Sequence[int],
) -> tuple[IndexRow, ...]:
    """Figures of every effort, pair of languages and cutoff.

    `exact` (query_lang, query_id, lang, doc_id, position) are exact lists, positions from 1; `found` is by effort
    what the index returns (query_id, doc_id, position); `golds` have query_lang, query_id, lang, doc_id; `clusters`
    query_id and cluster.
    """
    rows: list[IndexRow] = []
    for effort, returned in sorted(found.items()):
        for k in cutoffs:
            index = returned.filter(pl.col("position") <= k).select("query_id", "doc_id", is_there=True)
            first = exact.filter(pl.col("position") <= k)
            rows += _rows(effort, RETURNED.format(k), _shares(first, index).with_columns(exact=1.0), clusters)
            by_exact = _shares(golds, first.select("query_id", "doc_id", is_there=True))
            by_index = _shares(golds, index).with_columns(exact=by_exact["share"])
            rows += _rows(effort, FOUND.format(k), by_index, clusters)
    return tuple(rows)


def _shares(wanted: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
    """Of each query and language of documents, the share that is there."""
    both = wanted.join(there, on=["query_id", "doc_id"], how="left", maintain_order="left")
    share = pl.col("is_there").fill_null(False).mean()
    return both.group_by(*_KEYS, "query_id", maintain_order=True).agg(share=share).sort(*_KEYS, "query_id")


def _rows(effort: int, metric: str, shares: pl.DataFrame, clusters: pl.DataFrame) -> list[IndexRow]:
    rows = []
    for (query_lang, lang), of_pair in shares.join(clusters, on="query_id").group_by(_KEYS, maintain_order=True):
        means = clustered_means(of_pair["share"].to_numpy()[:, None], of_pair["cluster"].to_numpy(), 0.0, 1.0)
        low_M, high_M = means.interval()
        rows.append(
            IndexRow(
                effort=effort,
                query_lang=str(query_lang),
                lang=str(lang),
                metric=metric,
                value=float(means.mean_M[0]),
                low=float(low_M[0]),
                high=float(high_M[0]),
                n=len(of_pair),
                clusters=int(means.clusters_M[0]),
                exact=float(np.mean(of_pair["exact"].to_numpy())),
            )
        )
    return rows
