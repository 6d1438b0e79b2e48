"""From counts to ranks: the rank of every gold in every pool, and every pool's top list, as Polars frames."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from clir_core.corpus import ENGLISH, Skipped
from clir_core.outrank import count_related
from clir_core.plan import Plan, Queries
from clir_core.ranking import PairCounts
from clir_core.scenarios import Pool, PoolInfo

Relations = dict[tuple[str, str], np.ndarray]
TOP = pl.Schema(
    {
        "scenario": pl.String,
        "lang": pl.String,
        "query_lang": pl.String,
        "query_id": pl.String,
        "position": pl.Int32,
        "doc_id": pl.String,
        "doc_lang": pl.String,
        "score": pl.Float32,
        "relation": pl.String,
    }
)
RELATIONS = pl.Series(["unrelated", "translation", "gold"])
PER_QUERY = {
    "distractor": "without the English versions of the query's golds",
    "share": "without the English versions of the query's golds, with the golds themselves",
}


class _Sums(NamedTuple):
    """Counts of a pair as running sums over buckets, [G, buckets + 1], and the rows of Related that they are of."""

    rows: np.ndarray
    above_GB: np.ndarray
    ties_GB: np.ndarray


def rank_golds(plan: Plan, counts: PairCounts) -> tuple[pl.DataFrame, tuple[Skipped, ...]]:
    """One row a query, pool and gold, and the queries that a pool could not be asked for.

    `rank` is 1 + the documents that score at least as high; `outranking_<lang>` are the unrelated ones among them and
    `ties` those that score exactly the same; `unrelated`, `unrelated_en` and `pool_en` count the query's pool.
    """
    frames: list[pl.DataFrame] = []
    skipped: list[Skipped] = []
    beside = {lang: _beside(plan, queries) for lang, queries in plan.queries.items()}
    sums = {
        pair: _Sums(plan.gold_rows(*pair), _running(found.above_GB), _running(found.ties_GB))
        for pair, found in counts.items()
    }
    for pool in plan.pools:
        queries = plan.queries[pool.query_lang]
        asked = _askable(plan, pool, queries)
        skipped += _skipped(pool, queries, asked)
        frames.append(_pool_ranks(plan, pool, queries, sums, beside[pool.query_lang], asked))
    return pl.concat(frames, how="diagonal"), tuple(skipped)


def top_lists(plan: Plan, counts: PairCounts) -> pl.DataFrame:
    """The first documents of every query in every pool but share(p); of equal scores, unrelated ones first."""
    frames = [pl.DataFrame(schema=TOP)]
    relation = {
        (query_lang, lang): _relation(plan.queries[query_lang], plan.languages.index(lang), found.top_doc_QK)
        for (query_lang, lang), found in counts.items()
    }
    for pool in plan.pools:
        if pool.share is None:
            queries = plan.queries[pool.query_lang]
            frames.append(_pool_top(plan, pool, queries, counts, relation, _askable(plan, pool, queries)))
    return pl.concat(frames)


def describe(plan: Plan) -> tuple[PoolInfo, ...]:
    """Every pool's languages, sizes and the hash of its documents' ids."""
    return tuple(_describe(plan, pool) for pool in plan.pools)


def _running(counts_GB: np.ndarray) -> np.ndarray:
    sums = np.zeros((counts_GB.shape[0], counts_GB.shape[1] + 1), np.int32)
    np.cumsum(counts_GB, axis=1, out=sums[:, 1:])
    return sums


def _among(plan: Plan, languages: Sequence[str]) -> np.ndarray:
    """Which language codes are among these, bool [languages]."""
    return np.array([lang in languages for lang in plan.languages])


def _beside(plan: Plan, queries: Queries) -> np.ndarray:
    related = queries.related
    return count_related(related.first_Q, related.score, related.lang, len(plan.languages))


def _askable(plan: Plan, pool: Pool, queries: Queries) -> np.ndarray:
    """Queries with golds for this pool, bool [Q]: any, or where versions are compared, all versions of each."""
    related = queries.related
    wanted = related.is_gold & _among(plan, pool.gold_langs)[related.lang]
    n_golds = np.bincount(related.query[wanted], minlength=len(queries))
    if not pool.needs_all_versions:
        return n_golds > 0
    return (n_golds > 0) & (n_golds == queries.n_gold_groups * len(pool.gold_langs))


def _skipped(pool: Pool, queries: Queries, asked: np.ndarray) -> Iterator[Skipped]:
    missing = np.flatnonzero(~asked)
    if len(missing):
        reason = (
            "not every relevant document has a version in" if pool.needs_all_versions else "no relevant document in"
        )
        yield Skipped(
            what=f"{pool.query_lang} queries of {pool.scenario}" + (f" with {pool.lang}" if pool.lang else ""),
            reason=f"{reason} {' and '.join(pool.gold_langs)}",
            count=len(missing),
            examples=tuple(queries.query_id.gather(missing[:3])),
        )


def _pool_ranks(
    plan: Plan, pool: Pool, queries: Queries, sums: dict[tuple[str, str], _Sums], beside: np.ndarray, asked: np.ndarray
) -> pl.DataFrame:
    related = queries.related
    rows = np.flatnonzero(related.is_gold & _among(plan, pool.gold_langs)[related.lang] & asked[related.query])
    above, ties = {}, np.zeros(len(rows), np.int32)
    for lang, (first, end) in pool.buckets.items():
        found = sums[pool.query_lang, lang]
        at = np.searchsorted(found.rows, rows)
        above[lang] = found.above_GB[at, end] - found.above_GB[at, first]
        ties += found.ties_GB[at, end] - found.ties_GB[at, first]
    staying = beside[rows][:, [plan.languages.index(lang) for lang in pool.related_langs]].sum(axis=1)
    sizes = {name: column[related.query[rows]] for name, column in _sizes(plan, pool, queries).items()}
    return pl.DataFrame(
        {
            "query_id": queries.query_id.gather(related.query[rows]),
            "doc_id": _ids(plan, related.lang[rows], related.doc[rows], "doc_id"),
            "gold_lang": _langs(plan, related.lang[rows]),
            "group_id": _ids(plan, related.lang[rows], related.doc[rows], "group_id"),
            "grade": related.grade[rows],
            "rank": (1 + sum(above.values()) + staying).astype(np.int32),
            "score": related.score[rows],
            "ties": ties,
            "n_golds": np.bincount(related.query[rows], minlength=len(queries))[related.query[rows]].astype(np.int32),
            **sizes,
            **{f"outranking_{lang}": column for lang, column in above.items()},
        }
    ).select(
        pl.lit(pool.scenario).alias("scenario"),
        pl.lit(pool.lang, pl.String).alias("lang"),
        pl.lit(pool.query_lang).alias("query_lang"),
        pl.all(),
    )


def _sizes(plan: Plan, pool: Pool, queries: Queries) -> dict[str, np.ndarray]:
    """Documents in each query's pool, int32 [Q]: all, the unrelated ones, and English ones of both kinds."""
    related = queries.related
    sizes = dict.fromkeys(("pool_size", "pool_en", "unrelated", "unrelated_en"), np.zeros(len(queries), np.int32))
    for lang, (first, end) in pool.buckets.items():
        same = related.lang == plan.languages.index(lang)
        inside = same & (related.bucket >= first) & (related.bucket < end)
        ends = plan.documents[lang].ends
        unrelated = ends[end] - ends[first] - np.bincount(related.query[inside], minlength=len(queries))
        stay = np.bincount(related.query[same], minlength=len(queries)) if lang in pool.related_langs else 0
        parts = {"pool_size": unrelated + stay, "unrelated": unrelated}
        if lang == ENGLISH:
            parts |= {"pool_en": unrelated + stay, "unrelated_en": unrelated}
        sizes |= {name: (sizes[name] + part).astype(np.int32) for name, part in parts.items()}
    return sizes


def _pool_top(
    plan: Plan, pool: Pool, queries: Queries, counts: PairCounts, relation: Relations, asked: np.ndarray
) -> pl.DataFrame:
    found = [counts[pool.query_lang, lang] for lang in pool.languages]
    score = np.concatenate([part.top_score_QK for part in found], axis=1)[asked]
    doc = np.concatenate([part.top_doc_QK for part in found], axis=1)[asked]
    kind = np.concatenate([relation[pool.query_lang, lang] for lang in pool.languages], axis=1)[asked]
    codes = [plan.languages.index(lang) for lang in pool.languages]
    lang = np.broadcast_to(np.repeat(codes, [part.top_doc_QK.shape[1] for part in found]), doc.shape)
    gone = (doc < 0) | ((kind > 0) & ~np.isin(lang, [plan.languages.index(name) for name in pool.related_langs]))
    order = np.lexsort((doc, lang, kind > 0, -score, gone), axis=1)[:, : plan.cutoff]
    score, doc, kind, lang, gone = (np.take_along_axis(part, order, axis=1) for part in (score, doc, kind, lang, gone))
    query, position = np.nonzero(~gone)
    return pl.DataFrame(
        {
            "query_id": queries.query_id.gather(np.flatnonzero(asked)[query]),
            "position": (position + 1).astype(np.int32),
            "doc_id": _ids(plan, lang[query, position], doc[query, position], "doc_id"),
            "doc_lang": _langs(plan, lang[query, position]),
            "score": score[query, position],
            "relation": RELATIONS.gather(kind[query, position]),
        }
    ).select(
        pl.lit(pool.scenario).alias("scenario"),
        pl.lit(pool.lang, pl.String).alias("lang"),
        pl.lit(pool.query_lang).alias("query_lang"),
        pl.all(),
    )


def _relation(queries: Queries, lang: int, doc_QK: np.ndarray) -> np.ndarray:
    """What each document of a top list is to its query: 0 unrelated, 1 a gold's translation, 2 a gold."""
    rows = np.flatnonzero(queries.related.lang == lang)
    stride = int(max(doc_QK.max(initial=0), queries.related.doc.max(initial=0))) + 1
    known = queries.related.query[rows] * stride + queries.related.doc[rows]
    asked = np.arange(len(doc_QK))[:, None] * stride + doc_QK
    if not len(known):
        return np.zeros(doc_QK.shape, np.uint8)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    hit = (known[at] == asked) & (doc_QK >= 0)
    return np.where(hit, 1 + queries.related.is_gold[rows][at], 0).astype(np.uint8)


def _ids(plan: Plan, lang: np.ndarray, doc: np.ndarray, column: str) -> pl.Series:
    """The ids of documents given as language codes and numbers."""
    series = [getattr(plan.documents[name], column) for name in plan.languages]
    begin = np.cumsum([0, *(len(part) for part in series)])
    return pl.concat(series).gather(begin[lang] + doc)


def _langs(plan: Plan, lang: np.ndarray) -> pl.Series:
    return pl.Series(plan.languages).gather(lang)


def _describe(plan: Plan, pool: Pool) -> PoolInfo:
    digest, sizes = hashlib.sha256(), {}
    for lang, (first, end) in pool.buckets.items():
        ends = plan.documents[lang].ends
        ids = plan.documents[lang].doc_id[ends[first] : ends[end]]
        digest.update("\n".join([*ids, ""]).encode())
        sizes[lang] = len(ids)
    return PoolInfo(
        scenario=pool.scenario,
        query_lang=pool.query_lang,
        lang=pool.lang,
        languages=pool.languages,
        sizes=sizes,
        share=pool.share,
        seed=plan.seed,
        documents_sha256=digest.hexdigest(),
        per_query=PER_QUERY.get(pool.scenario.partition("(")[0]),
    )
