"""All metrics of a ranking, some pools at a time: its files are never in memory as a whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from clir_core.audit.result import Measured, MetricRow
from clir_core.corpus.pivot import ENGLISH
from clir_core.measure.metrics import ENGLISH_SHARE, POOL, metric_parts, units
from clir_core.measure.stats import aggregate
from clir_core.workspace import layout
from clir_core.workspace.frames import frames_into
from clir_core.workspace.storage import explained

ROWS = 250_000
# how metrics and intervals are made: figures that were kept of another way are made again
INTERVALS = "gaffke, clustered"


def measure_ranks(
    ranked: Path, queries: pl.DataFrame, cutoffs: Sequence[int], table: Path, pivot: str = ENGLISH
) -> Measured:
    """Aggregates of every metric in every pool; `per_query`'s rows go into the file `table`.

    ranked is the directory of ranks.parquet and topk.parquet. No figure depends on how many pools are taken at a time.
    """
    names = units(cutoffs, pivot)
    stored = {"pivot_share": ENGLISH_SHARE} if pivot == ENGLISH else {}
    rows: list[MetricRow] = []
    paired: list[pl.DataFrame] = []
    with frames_into(table) as write:
        for ranks, top in _pieces(ranked / layout.RANKS, ranked / layout.TOP):
            single, pairs = metric_parts(ranks, top, queries, cutoffs, pivot)
            write(single.rename(stored))
            rows += aggregate(single, names)
            paired.append(pairs)
        compared = pl.concat(paired)
        write(compared.rename(stored))
    return Measured(metrics=(*rows, *aggregate(compared, names)))


def _pieces(ranks: Path, top: Path) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Ranks and top lists of consecutive pools; pools that are compared with one another are never apart."""
    with explained(ranks.parent):
        found = _pools(ranks)
        if found.is_empty():  # no pool could be asked for any query
            yield pl.read_parquet(ranks), pl.read_parquet(top)
        pools = found.join(_pools(top), on=POOL, how="left", nulls_equal=True, suffix="_top", maintain_order="left")
        together = pl.struct("scenario", pl.coalesce("lang", "query_lang")).rle_id()
        pools = pools.group_by(together.alias("unit"), maintain_order=True).agg(pl.sum("rows", "rows_top"))
        piece = (pl.col("rows").cum_sum() - 1) // ROWS
        at = at_top = 0
        for _, rows, rows_top in (
            pools.group_by(piece.alias("piece"), maintain_order=True).sum().drop("unit").iter_rows()
        ):
            yield (
                pl.scan_parquet(ranks).slice(at, rows).collect(),
                pl.scan_parquet(top).slice(at_top, rows_top).collect(),
            )
            at, at_top = at + rows, at_top + rows_top


def _pools(path: Path) -> pl.DataFrame:
    """The pools of a file in their order, and the rows of each, which lie together."""
    with pq.ParquetFile(path) as file:
        parts = [
            pl.DataFrame(pl.from_arrow(batch)).group_by(POOL, maintain_order=True).agg(rows=pl.len())
            for batch in file.iter_batches(columns=list(POOL))
        ]
    if not parts:
        return pl.scan_parquet(path).select(POOL).collect().with_columns(rows=pl.lit(0))
    return pl.concat(parts).group_by(POOL, maintain_order=True).agg(pl.col("rows").sum())
