"""Two audits of the same queries, paired: what changed, between which bounds, and whether chance alone could do it.

A query counts for a metric where both audits define it, so a mean here can differ from audit.json's where one does not
(`pull` where nothing outranks). Never compares audits that do not hold the same queries.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from clir_core.audit.figure import Figure
from clir_core.audit.result import AuditResult
from clir_core.corpus.tables import ENGLISH
from clir_core.errors import SpecError
from clir_core.measure.metrics import POOL, QUERY, units
from clir_core.measure.stats import bootstrap_interval
from clir_core.scenarios.label import with_share
from clir_core.workspace import layout
from clir_core.workspace.storage import explained

# random sign flips a language: Holm multiplies the smallest p by the languages, and 1 / 200 must stay well below 0.05
FLIPS_A_LANGUAGE = 200
_BLOCK = 100  # flips held at a time; what they are depends on it
_ROUNDING = 1e-10  # of the summed differences: sums in another order differ in their last bits, and ties count
_SHOWN = 5


class Difference(Figure):
    """One metric in one pool, after minus before, as means over the queries for which both audits define it."""

    before: float
    after: float
    difference: float
    low: float = Field(description="Of the 95 % paired bootstrap interval of the difference")
    high: float
    p: float = Field(description="Two-sided paired randomisation test")
    p_holm: float = Field(description="p corrected over the languages of this scenario, query side and metric")
    n: int = Field(description="Pairs of queries")
    unit: str


Side = tuple[AuditResult, pl.DataFrame]  # an audit's result and its queries.parquet


def compare_audits(before: Path, after: Path) -> tuple[Difference, ...]:
    """Compare two audits by their directories, every metric, with the later one's resamples and seed."""
    return compare_results(_read(before), _read(after))


def compare_results(before: Side, after: Side) -> tuple[Difference, ...]:
    """Compare two audits, every metric, with the later one's resamples and seed. SpecError where they cannot be."""
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
    return compare(old_table, new_table, units(new.spec.cutoffs), new.spec.resamples, new.spec.seed)


def compare(
    before: pl.DataFrame, after: pl.DataFrame, metrics: Mapping[str, str], resamples: int, seed: int
) -> tuple[Difference, ...]:
    """Every metric (name to unit) that the audits hold, in every pool. The tables are two audits' queries.parquet.

    The randomisation test flips signs `resamples` times, more where many languages are to be corrected for.
    """
    before, after = _paired(with_share(before), after)
    names = _shared(before, after, metrics)
    values = [table.select(names).cast(pl.Float64).fill_null(np.nan).to_numpy() for table in (before, after)]
    # a row a query, pools one after the other
    known_RM = ~np.isnan(values[0]) & ~np.isnan(values[1])
    before_RM, after_RM = (np.where(known_RM, values_RM, np.nan) for values_RM in values)
    grouped = before.with_row_index("row").group_by(*POOL, "share", maintain_order=True)
    pools = grouped.agg(pl.col("row").first(), n=pl.len())
    languages = max(pools["lang"].n_unique(), pools["query_lang"].n_unique())
    flips = max(resamples, FLIPS_A_LANGUAGE * languages)
    tests = _tests(after_RM - before_RM, pools, resamples, flips, seed)
    found: list[dict[str, Any]] = []
    for at, (scenario, query_lang, lang, share, row, n) in enumerate(pools.iter_rows()):
        of_pool = slice(row, row + n)
        for m in np.flatnonzero(known_RM[of_pool].any(axis=0)):
            means = [float(np.nanmean(values_RM[of_pool, m])) for values_RM in (before_RM, after_RM)]
            figures = dict(zip(("low", "high", "p"), tests[:, at, m].tolist(), strict=True))
            found.append(
                {"scenario": scenario, "share": share, "query_lang": query_lang, "lang": lang, "metric": names[m]}
                | {"before": means[0], "after": means[1], "difference": means[1] - means[0]}
                | {"n": int(known_RM[of_pool, m].sum()), "unit": metrics[names[m]]}
                | figures
            )
    return tuple(_corrected(found))


def randomisation_p(differences_QM: np.ndarray, flips: int, seed: int) -> np.ndarray:
    """Two-sided paired randomisation test of each column's mean against 0 (Smucker et al. 2007). Returns p_M.

    (1 + flips of the signs whose mean is at least as far from 0) / (1 + flips). NaN cells do not count. The flips
    depend on the seed and the number of queries, and are the same for every column.
    """
    filled_QM = np.nan_to_num(differences_QM)
    bound_M = np.abs(filled_QM.sum(axis=0)) - _ROUNDING * np.abs(filled_QM).sum(axis=0)
    hits_M = np.zeros(filled_QM.shape[1], np.int64)
    for start in range(0, flips, _BLOCK):
        signs_BQ = _signs(len(filled_QM), start // _BLOCK, seed)[: flips - start]
        hits_M += (np.abs(signs_BQ @ filled_QM) >= bound_M).sum(axis=0)
    return (1 + hits_M) / (1 + flips)


def holm(p: np.ndarray) -> np.ndarray:
    """p [tests], corrected by Holm's step-down (1979): the chance of any false alarm among them stays below a level."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(adjusted, 1)
    return corrected


def _read(directory: Path) -> Side:
    with explained(directory):
        result = AuditResult.model_validate_json((directory / layout.AUDIT).read_text("utf-8"))
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
    lacking = [name for name in metrics if (name in before.columns) != (name in after.columns)]
    if lacking:
        raise SpecError(
            f"only one of the two audits has {', '.join(lacking[:_SHOWN])}; audit both checkpoints with the same "
            "cutoffs and scenarios"
        )
    return [name for name in metrics if name in before.columns]


def _tests(differences_RM: np.ndarray, pools: pl.DataFrame, resamples: int, flips: int, seed: int) -> np.ndarray:
    """low, high and p of every pool and metric, float64 [3, pools, metrics]; NaN where no query is known."""
    figures = np.full((3, len(pools), differences_RM.shape[1]), np.nan)
    rows_P, sizes_P = pools["row"].to_numpy(), pools["n"].to_numpy()
    # pools of as many queries see the same draws: one matrix product serves all of them
    for n in np.unique(sizes_P):
        at_P = np.flatnonzero(sizes_P == n)
        columns_QPM = differences_RM[rows_P[at_P] + np.arange(n)[:, None]]
        known_PM = ~np.isnan(columns_QPM).all(axis=0)
        columns_QC = columns_QPM[:, known_PM]
        if columns_QC.size:
            low_C, high_C = bootstrap_interval(columns_QC, resamples, seed)
            of_size = np.full((3, *known_PM.shape), np.nan)
            of_size[:, known_PM] = low_C, high_C, randomisation_p(columns_QC, flips, seed)
            figures[:, at_P] = of_size
    return figures


def _signs(n_queries: int, block: int, seed: int) -> np.ndarray:
    """1 or -1 for every query, float64 [_BLOCK, Q]."""
    # the last number sets these draws apart from the bootstrap's
    random = np.random.default_rng([seed, n_queries, block, 1])
    bits = np.unpackbits(random.integers(0, 256, (_BLOCK, -(-n_queries // 8)), np.uint8), axis=1, count=n_queries)
    return 1.0 - 2.0 * bits


def _corrected(found: list[dict[str, Any]]) -> Iterator[Difference]:
    families = defaultdict(list)
    for i, row in enumerate(found):
        side = row["query_lang"] and row["query_lang"] == ENGLISH
        families[row["scenario"], side, row["metric"]].append(i)
    for members in families.values():
        for i, p in zip(members, holm(np.array([found[i]["p"] for i in members])), strict=True):
            found[i]["p_holm"] = float(p)
    return (Difference(**row) for row in found)
