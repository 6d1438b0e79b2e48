"""Two audits of the same queries, paired: what changed, between which bounds, and whether chance alone could do it.

A query counts for a metric where both audits define it, so a mean here can differ from audit.json's where one does not
(`pull` where nothing outranks). Never compares audits that do not hold the same queries.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from clir_core.audit.figure import Figure
from clir_core.audit.holm import holm
from clir_core.audit.result import AuditResult
from clir_core.corpus.lang import language_name
from clir_core.corpus.pivot import ENGLISH
from clir_core.errors import SpecError
from clir_core.measure.interval import Means, clustered_means
from clir_core.measure.metrics import ENGLISH_SHARE, POOL, QUERY, SAMPLED, units
from clir_core.measure.stats import ranges
from clir_core.scenarios.label import with_share
from clir_core.workspace import layout
from clir_core.workspace.steps import read_kept
from clir_core.workspace.storage import explained

_SHOWN = 5
# what audits of before do not have: all else of them is compared
_LATER = ("inclination", "inclination_rate(neutral)", "unrelated_first(en)", "unrelated_first(x)")


class Difference(Figure):
    """One metric in one pool, after minus before, as means over the queries for which both audits define it."""

    before: float
    after: float
    difference: float
    low: float = Field(description="Of the 95 % interval of the difference, over clusters of queries")
    high: float
    p: float = Field(description="Two-sided, of no difference; the interval's own")
    p_holm: float = Field(description="p corrected over the languages of this scenario, query side and metric")
    n: int = Field(description="Pairs of queries")
    clusters: int | None = Field(None, description="Clusters that the queries were sampled in; null in older results")
    unit: str


Side = tuple[AuditResult, pl.DataFrame]  # an audit's result and its queries.parquet


@dataclass(frozen=True)
class Comparison:
    """Every difference, and what tests of several of them together need: the differences R of each query and pool."""

    differences: tuple[Difference, ...]
    pivot: str
    _names: Sequence[str]
    _units: Mapping[str, str]
    _sampled: pl.DataFrame
    _difference_RM: np.ndarray
    _rows: Mapping[tuple[Any, ...], np.ndarray]

    def means(self, pools: Sequence[Difference]) -> Means:
        """The mean of one metric's differences over some pools, each counting the same: one column, to be tested."""
        rows = [self._rows[one.scenario, one.query_lang, one.lang] for one in pools]
        m = self._names.index(pools[0].metric)
        values = [self._difference_RM[of_pool, m] for of_pool in rows]
        weights = [np.full(len(one), 1 / max(1, int((~np.isnan(one)).sum()))) for one in values]
        at = np.concatenate(rows)
        weight_Q = np.concatenate(weights) * len(at) / len(pools)
        sampled = self._sampled[at]
        largest = _spans([self._names[m]], self._units, sampled)
        # pools may ask the same in several languages: where nothing says so, the queries in one place count as one
        cluster_Q = _clusters(sampled, np.concatenate([np.arange(len(one)) for one in rows]))
        return clustered_means(self._difference_RM[at, m : m + 1], cluster_Q, -largest, largest, weight_Q)


def compare_audits(before: Path, after: Path) -> Comparison:
    """Compare two audits by their directories, every metric."""
    return compare_results(_read(before), _read(after))


def compare_results(before: Side, after: Side) -> Comparison:
    """Compare two audits, every metric. SpecError where they cannot be."""
    (old, old_table), (new, new_table) = before, after
    pair = f"{old.name} and {new.name}"
    if old.provenance.corpus_fingerprint != new.provenance.corpus_fingerprint:
        raise SpecError(
            f"{pair}: audits of different corpora ({old.spec.corpus} and {new.spec.corpus}, or texts "
            "that changed in between) cannot be compared; audit both checkpoints on the same corpus and languages"
        )
    if old.spec.seed != new.spec.seed:
        raise SpecError(
            f"{pair}: seeds {old.spec.seed} and {new.spec.seed} share the pools out differently; "
            "audit both checkpoints with the same seed"
        )
    if old.spec.pivot != new.spec.pivot:
        raise SpecError(
            f"{pair}: one holds every language against {language_name(old.spec.pivot)}, the other against "
            f"{language_name(new.spec.pivot)}; audit both checkpoints with the same pivot"
        )
    return compare(old_table, new_table, units(new.spec.cutoffs, new.spec.pivot), new.spec.pivot)


def compare(before: pl.DataFrame, after: pl.DataFrame, metrics: Mapping[str, str], pivot: str = ENGLISH) -> Comparison:
    """Every metric (name to unit) that the audits hold, in every pool. The tables are two audits' queries.parquet.

    Clusters and sizes of pools are the later audit's, else the earlier's. Where neither says any, as audits of before,
    each query is a cluster, and no rank is thought larger than the largest there.
    """
    before, after = _paired(with_share(before), after)
    names = _shared(before, after, metrics)
    sampled = _sampled(before, after, {name: metrics[name] for name in names})
    values = [table.select(names).cast(pl.Float64).fill_null(np.nan).to_numpy() for table in (before, after)]
    known_RM = ~np.isnan(values[0]) & ~np.isnan(values[1])
    before_RM, after_RM = (np.where(known_RM, values_RM, np.nan) for values_RM in values)
    difference_RM = after_RM - before_RM
    found: list[dict[str, Any]] = []
    of_pools: dict[tuple[Any, ...], np.ndarray] = {}
    pools = before.with_row_index("row").group_by(*POOL, "share", maintain_order=True).agg(pl.col("row"))
    for scenario, query_lang, lang, share, row in pools.iter_rows():
        rows = of_pools[scenario, query_lang, lang] = np.array(row)
        largest_M = _spans(names, metrics, sampled[rows])
        means = clustered_means(
            difference_RM[rows], _clusters(sampled[rows], np.arange(len(rows))), -largest_M, largest_M
        )
        figures = (before_RM, after_RM), means, *means.interval(), means.p(0.0)
        pool = {"scenario": scenario, "share": share, "query_lang": query_lang, "lang": lang}
        found += (pool | figure for figure in _figures(names, metrics, rows, *figures))
    return Comparison(tuple(_corrected(found, pivot)), pivot, names, metrics, sampled, difference_RM, of_pools)


def _read(directory: Path) -> Side:
    result = read_kept(directory / layout.AUDIT, AuditResult)
    with explained(directory / layout.QUERIES):
        return result, pl.read_parquet(directory / layout.QUERIES)


def _paired(before: pl.DataFrame, after: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both with the same queries in the same order, whatever theirs was."""
    keys = pl.col(QUERY).cast(pl.String)  # a column without any language has no type
    before, after = (table.with_columns(keys).sort(QUERY) for table in (before, after))
    if not before.select(QUERY).equals(after.select(QUERY)):
        only = [a.join(b, on=QUERY, how="anti", nulls_equal=True) for a, b in ((before, after), (after, before))]
        sides = [f"{_listed(rows)} only {when}" for rows, when in zip(only, ("before", "after"), strict=True)]
        raise SpecError(
            f"the two audits do not hold the same queries: {', '.join(sides)}; audit both checkpoints on the same "
            "corpus, languages and scenarios, and compare those"
        )
    if before.select(QUERY).is_duplicated().any():
        twice = before.filter(before.select(QUERY).is_duplicated())
        raise SpecError(f"the audits hold {_listed(twice)} more than once: queries.parquet is damaged, audit again")
    return before, after


def _listed(rows: pl.DataFrame) -> str:
    """'2 queries (multi/de/de/q1, multi/en/de/q1)': a query counts once for each pool it is asked in."""
    first = ["/".join(part or "-" for part in row) for row in rows.head(_SHOWN).select(QUERY).iter_rows()]
    more = [f"and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    names = f" ({', '.join([*first, *more])})" if first else ""
    return f"{len(rows)} {'query' if len(rows) == 1 else 'queries'}{names}"


def _shared(before: pl.DataFrame, after: pl.DataFrame, metrics: Mapping[str, str]) -> list[str]:
    lacking = [name for name in metrics if (name in before.columns) != (name in after.columns) and name not in _LATER]
    if lacking:
        raise SpecError(
            f"only one of the two audits has {', '.join(lacking[:_SHOWN])}; audit both checkpoints with the same "
            "cutoffs and scenarios"
        )
    return [name for name in metrics if name in before.columns and name in after.columns]


def _sampled(before: pl.DataFrame, after: pl.DataFrame, metrics: Mapping[str, str]) -> pl.DataFrame:
    """The columns SAMPLED of either audit's rows. Where neither has them, no cluster, and the largest rank seen."""
    before, after = (table.rename({ENGLISH_SHARE: "pivot_share"}, strict=False) for table in (before, after))
    known = next((table for table in (after, before) if {"cluster", "pool_size"} <= set(table.columns)), None)
    if known is None:
        ranks = [name for name, unit in metrics.items() if unit in ("rank", "ranks")]
        seen = [table[name].cast(pl.Float64) for table in (before, after) for name in ranks]
        known = before.with_columns(pool_size=pl.max_horizontal(pl.lit(1.0), *seen).ceil())
    lacking = [pl.lit(None).alias(name) for name in SAMPLED if name not in known.columns]
    return known.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in SAMPLED.items())


def _clusters(sampled: pl.DataFrame, unknown_Q: np.ndarray) -> np.ndarray:
    cluster = sampled["cluster"]
    return unknown_Q if cluster.null_count() else cluster.to_numpy()


def _spans(names: Sequence[str], metrics: Mapping[str, str], sampled: pl.DataFrame) -> np.ndarray:
    """How far each metric can change at most, [M]."""
    least_M, most_M = ranges(names, metrics, sampled)
    return most_M - least_M


def _figures(
    names: Sequence[str],
    metrics: Mapping[str, str],
    rows: np.ndarray,
    sides: tuple[np.ndarray, np.ndarray],
    means: Means,
    low_M: np.ndarray,
    high_M: np.ndarray,
    p_M: np.ndarray,
) -> Iterator[dict[str, Any]]:
    for m in np.flatnonzero(means.n_M).tolist():
        before, after = (float(np.nanmean(values_RM[rows, m])) for values_RM in sides)
        yield {
            "metric": names[m],
            "before": before,
            "after": after,
            "difference": after - before,
            "low": float(low_M[m]),
            "high": float(high_M[m]),
            "p": float(p_M[m]),
            "n": int(means.n_M[m]),
            "clusters": int(means.clusters_M[m]),
            "unit": metrics[names[m]],
        }


def _corrected(found: list[dict[str, Any]], pivot: str) -> Iterator[Difference]:
    families = defaultdict(list)
    for i, row in enumerate(found):
        side = row["query_lang"] and row["query_lang"] == pivot
        families[row["scenario"], side, row["metric"]].append(i)
    for members in families.values():
        for i, p in zip(members, holm([found[i]["p"] for i in members]), strict=True):
            found[i]["p_holm"] = p
    return (Difference(**row) for row in found)
