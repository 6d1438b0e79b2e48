"""What pools and figures are called in files, pages and keys.

A pool by its scenario's name, with the pivot's share where it has one; a figure by its pool's label and its metric.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# label of the pools, query language, X, metric
Key = tuple[str, str | None, str | None, str]


def label(name: str, share: float | None) -> str:
    """'mono', 'share(0.3)'."""
    return name if share is None else f"{name}({share:.1f})"


def name_in(pool: str, share: float | None) -> str:
    """The name of the scenario of a pool with this label and share."""
    return pool if share is None else pool.removesuffix(label("", share))


def share_in(pool: str) -> float | None:
    """The share of a pool with this label, for files of before that do not hold it beside."""
    found = re.fullmatch(r"\w+\((.+)\)", pool)
    return float(found[1]) if found else None


def with_share(rows: "pl.DataFrame") -> "pl.DataFrame":
    """Rows of ranks.parquet or queries.parquet with their `share`, also those of before that lack it."""
    import polars as pl

    if "share" in rows.columns:
        return rows
    shares = {pool: share_in(pool) for pool in rows["scenario"].unique()}
    return rows.with_columns(share=pl.col("scenario").replace_strict(shares, return_dtype=pl.Float64))
