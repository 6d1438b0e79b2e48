"""Means over queries, and how far they could lie by the chance of which queries were asked."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import polars as pl

from clir_core.audit.result import MetricRow
from clir_core.scenarios.label import with_share

_CHUNK = 8_000_000  # cells of a resampling matrix held at a time


def bootstrap_interval(values_QM: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile bootstrap of each column's mean over queries (Efron 1979). Returns low_M, high_M.

    NaN cells do not count. Every column sees the same resamples; they depend on the seed and the number of queries.
    """
    known_QM = (~np.isnan(values_QM)).astype(np.float64)
    filled_QM = np.nan_to_num(values_QM)
    step = max(1, _CHUNK // max(1, len(values_QM)))
    means_BM = np.empty((resamples, values_QM.shape[1]))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        weights_BQ = _resamples(len(values_QM), start, stop, seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            means_BM[start:stop] = (weights_BQ @ filled_QM) / (weights_BQ @ known_QM)
    low_M, high_M = np.nanpercentile(means_BM, [2.5, 97.5], axis=0)
    return low_M, high_M


@lru_cache(maxsize=2)
def _resamples(n_queries: int, start: int, stop: int, seed: int) -> np.ndarray:
    """How often each query is drawn, resamples start:stop, float64 [B, Q]."""
    # a generator each: what a resample draws does not depend on the others held with it
    draws = (np.random.default_rng([seed, n_queries, i]).integers(0, n_queries, n_queries) for i in range(start, stop))
    return np.stack([np.bincount(draw, minlength=n_queries) for draw in draws]).astype(np.float64)


def aggregate(table: pl.DataFrame, units: Mapping[str, str], resamples: int, seed: int) -> Iterator[MetricRow]:
    """The mean of every metric in every pool, with its interval. `table` is metrics.per_query's."""
    keys = ("scenario", "share", "query_lang", "lang")
    for (scenario, share, query_lang, lang), pool in with_share(table).group_by(keys, maintain_order=True):
        names = [name for name in units if name in pool.columns and pool[name].count()]
        values_QM = pool.select(names).cast(pl.Float64).fill_null(np.nan).to_numpy()
        low_M, high_M = bootstrap_interval(values_QM, resamples, seed)
        means_M, counts_M = np.nanmean(values_QM, axis=0), (~np.isnan(values_QM)).sum(axis=0)
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
                n=int(counts_M[i]),
                unit=units[name],
            )
