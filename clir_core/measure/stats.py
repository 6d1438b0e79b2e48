"""Means over queries, and how far they could lie by the chance of which clusters of queries were asked."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from clir_core.audit.result import MetricRow
from clir_core.measure.interval import clustered_means
from clir_core.measure.metrics import metric_better
from clir_core.scenarios.label import with_share

NEUTRAL = {"0": 0.0, "0.5": 0.5}


def aggregate(table: pl.DataFrame, units: Mapping[str, str]) -> Iterator[MetricRow]:
    """The mean of every metric in every pool, with its interval. `table` is metrics.per_query's."""
    keys = ("scenario", "share", "query_lang", "lang")
    for (scenario, share, query_lang, lang), pool in with_share(table).group_by(keys, maintain_order=True):
        names = [name for name in units if name in pool.columns and pool[name].count()]
        values_QM = pool.select(names).cast(pl.Float64).fill_null(np.nan).to_numpy()
        least_M, most_M = ranges(names, units, pool)
        means = clustered_means(values_QM, pool["cluster"].to_numpy(), least_M, most_M)
        # not those of `means`: sums over clusters differ in the last bit with the clusters
        means_M = np.nanmean(values_QM, axis=0)
        low_M, high_M = means.interval()
        neutral = [NEUTRAL.get(metric_better(name) or "") for name in names]
        p_M = means.p(np.array([0.0 if one is None else one for one in neutral]))
        for i, name in enumerate(names):
            yield MetricRow(
                scenario=str(scenario),
                share=share,
                query_lang=query_lang,
                lang=lang,
                metric=name,
                value=float(means_M[i]),
                low=float(low_M[i]),
                high=float(high_M[i]),
                n=int(means.n_M[i]),
                clusters=int(means.clusters_M[i]),
                p=None if neutral[i] is None else float(p_M[i]),
                unit=units[name],
            )


def ranges(names: Sequence[str], units: Mapping[str, str], pool: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value that each metric can have for these queries, [M]; they have metrics.SAMPLED."""
    size, share = pool["pool_size"].drop_nulls().to_numpy(), pool["pivot_share"].drop_nulls().to_numpy()
    largest = int(size.max(initial=1))
    pull = (-share.max(initial=0), 1 - share.min(initial=1)) if len(share) else (-1.0, 1.0)
    found = [pull if name.startswith("pull(") else _range(name, units[name], largest) for name in names]
    both = np.array(found, np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _range(name: str, unit: str, pool_size: int) -> tuple[float, float]:
    largest = {"rank": pool_size, "ranks": pool_size - 1, "percent": 100}.get(unit, 1)
    if unit in ("share", "correlation") or metric_better(name) == "0":
        return -largest, largest
    return (1 if unit == "rank" else 0), largest
