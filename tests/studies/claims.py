"""How often an audit claims an inclination that is none, and how often it finds one: tables of docs/statistics.md.

Simulated audits of 20 languages, each from both query sides: how many unrelated documents outrank each query's gold,
and how many of them are English; then measure.neutral, the interval's test and audit.claims, as an audit does it.
    python tests/studies/claims.py [--audits 200] [false power]
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
from tables import put, table

from clir_core.audit.claim import INCLINATIONS
from clir_core.audit.claims import claims
from clir_core.audit.result import MetricRow
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.pivot import ENGLISH
from clir_core.measure.interval import Means, clustered_means
from clir_core.measure.neutral import beside_neutral

LANGUAGES = tuple(f"x{i:02d}" for i in range(20))
SIDES = 2 * len(LANGUAGES)
RATES = (0.002, 0.01, 0.05, 0.2, 0.5)
SIZES = (0.05, 0.1, 0.2, 0.4)
# audits at a time
PART = 25
# of errors within a cluster
ALIKE = 0.3
SPEC = AuditSpec()


class Pool(NamedTuple):
    """Unrelated documents of a pool."""

    english: int
    other: int

    def __str__(self) -> str:
        return f"{self.english}:{self.other}"


class Queries(NamedTuple):
    """How queries were sampled: all clusters of one size."""

    clusters: int
    size: int

    @property
    def n(self) -> int:
        return self.clusters * self.size

    def __str__(self) -> str:
        return f"{self.n:,} in {self.clusters}"


POOLS = (Pool(240, 240), Pool(48, 432), Pool(400, 4))
QUERIES = (Queries(72, 1), Queries(48, 5), Queries(238, 5))
# whose documents the errors are: those of a neutral order, or alike within a cluster beyond that
KINDS = {"neutral order": 0.0, "alike, .1": 0.1, "alike, .3": 0.3}


class Errors(NamedTuple):
    """Queries E whose gold is outranked: which they are of [Q, M], and by how many unrelated documents."""

    at_E: np.ndarray
    cluster_E: np.ndarray  # one number for each cluster of each column
    many_E: np.ndarray
    columns: int

    @staticmethod
    def drawn(random: np.random.Generator, queries: Queries, rate: float, columns: int, pool: Pool) -> "Errors":
        """None but at this rate, alike within a cluster; seldom many."""
        both = 1 / ALIKE - 1
        own_CM = random.beta(rate * both, (1 - rate) * both, (queries.clusters, columns))
        errs_QM = random.random((queries.n, columns)) < np.repeat(own_CM, queries.size, axis=0)
        at_E = np.flatnonzero(errs_QM)
        many_E = np.ceil(np.exp(random.normal(0, 1.5, len(at_E)))).clip(1, sum(pool)).astype(np.int64)
        cluster_E = at_E // columns // queries.size * columns + at_E % columns
        return Errors(at_E, cluster_E, many_E, columns)

    def english(self, random: np.random.Generator, pool: Pool, lumps: float, queries: Queries) -> np.ndarray:
        """How many of the errors are English, [E], on average as many as in a neutral order."""
        if not lumps:
            return random.hypergeometric(*pool, self.many_E)
        share, both = pool.english / sum(pool), 1 / lumps - 1
        own = random.beta(share * both, (1 - share) * both, queries.clusters * self.columns)
        drawn_E = random.binomial(self.many_E, own[self.cluster_E])
        return np.clip(drawn_E, self.many_E - pool.other, pool.english)

    def leans(self, english_E: np.ndarray, pool: Pool, queries: Queries) -> np.ndarray:
        """measure.neutral's lean of every query, [Q, M]."""
        kinds_K, at_E = np.unique(self.many_E * (pool.english + 1) + english_E, return_inverse=True)
        many_K, english_K = np.divmod(kinds_K, pool.english + 1)
        known = pl.DataFrame({"outranking": many_K, "outranking_pivot": english_K})
        known = known.with_columns(unrelated=pl.lit(sum(pool)), unrelated_pivot=pl.lit(pool.english))
        leans_QM = np.zeros(queries.n * self.columns)
        leans_QM[self.at_E] = beside_neutral(known)["lean"].to_numpy()[at_E]
        return leans_QM.reshape(queries.n, self.columns)


def claimed(means: Means, at: int) -> dict[str, str]:
    """What the audit whose sides start at this column claims of each language."""
    columns = range(at, at + SIDES)
    low_M, high_M = means.interval()
    p_M = means.p(0.0)
    sides = [(lang, asked) for lang in LANGUAGES for asked in (lang, ENGLISH)]
    rows = [
        MetricRow(
            scenario="multi",
            query_lang=asked,
            lang=lang,
            metric="inclination",
            value=float(means.mean_M[i]),
            low=float(low_M[i]),
            high=float(high_M[i]),
            n=int(means.n_M[i]),
            clusters=int(means.clusters_M[i]),
            p=float(p_M[i]),
            unit="share",
        )
        for i, (lang, asked) in zip(columns, sides, strict=True)
    ]
    return {one.language: one.claim for one in claims(rows, (), LANGUAGES, SPEC)}


Draw = Callable[[int], np.ndarray]


def audits(leans_QM: Draw, queries: Queries, repetitions: int) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """The claims of simulated audits, and their sides' means; `leans_QM` draws so many columns."""
    cluster_Q = np.repeat(np.arange(queries.clusters), queries.size)
    for start in range(0, repetitions, PART):
        part = min(PART, repetitions - start)
        means = clustered_means(leans_QM(part * SIDES), cluster_Q, -1, 1)
        for at in range(0, part * SIDES, SIDES):
            yield claimed(means, at), means.mean_M[at : at + SIDES]


def without_preference(
    random: np.random.Generator, queries: Queries, rate: float, pool: Pool, lumps: float, columns: int
) -> np.ndarray:
    """Leans of models that err, but prefer nobody, [Q, M]."""
    errors = Errors.drawn(random, queries, rate, columns, pool)
    return errors.leans(errors.english(random, pool, lumps, queries), pool, queries)


def inclined(random: np.random.Generator, queries: Queries, rate: float, size: float, columns: int) -> np.ndarray:
    """The same, but the first language of each audit is outranked by English alone for this share of its queries."""
    pool = POOLS[0]
    errors = Errors.drawn(random, queries, rate, columns, pool)
    english_E = errors.english(random, pool, 0.0, queries)
    alone_E = (random.random(len(english_E)) < size / rate) & (errors.at_E % columns % SIDES < 2)
    return errors.leans(np.where(alone_E, errors.many_E.clip(max=pool.english), english_E), pool, queries)


def false(repetitions: int) -> None:
    """Table of claims about models without preference."""
    random = np.random.default_rng(21)
    rows = []
    for name, lumps in KINDS.items():
        for pool in POOLS:
            for queries in QUERIES:
                cells = []
                for rate in RATES:
                    draw = partial(without_preference, random, queries, rate, pool, lumps)
                    found = [set(of.values()) & set(INCLINATIONS) for of, _ in audits(draw, queries, repetitions)]
                    cells.append(f"{np.mean([bool(one) for one in found]):.3f}")
                rows.append([name, str(pool), str(queries), *cells])
                print(*rows[-1], flush=True)
    header = ["errors", "English:X", "queries in clusters", *(f"{rate:g}" for rate in RATES)]
    put("false claims", table(header, rows))


def power(repetitions: int) -> None:
    """Table of claims about one language whose two query sides lean to English by so much."""
    random = np.random.default_rng(22)
    rows = []
    for queries in QUERIES:
        for rate in RATES[2:]:
            cells = []
            for size in SIZES:
                if size > rate:  # too few errors to lean so much
                    cells.append("")
                    continue
                found = list(audits(partial(inclined, random, queries, rate, size), queries, repetitions))
                hit = np.mean([of[LANGUAGES[0]] == "english_inclination" for of, _ in found])
                cells.append(f"{hit:.2f} ({np.mean([mean_M[:2].mean() for _, mean_M in found]):.2f})")
            rows.append([str(queries), f"{rate:g}", *cells])
            print(*rows[-1], flush=True)
    put("power of claims", table(["queries in clusters", "errors", *(f"{size:g}" for size in SIZES)], rows))


STUDIES: dict[str, Callable[[int], None]] = {"false": false, "power": power}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", default=list(STUDIES), help=", ".join(STUDIES))
    parser.add_argument("--audits", type=int, default=200)
    asked = parser.parse_args()
    for name in asked.studies:
        STUDIES[name](asked.audits)


if __name__ == "__main__":
    main()
