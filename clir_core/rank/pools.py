"""From counts to ranks: the rank of every gold in every pool, and every pool's top list, as Polars frames."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import NamedTuple

import numpy as np
import polars as pl

from clir_core.corpus.tables import Skipped
from clir_core.rank.outrank import Counts, PairCounts, count_related, sum_buckets
from clir_core.rank.plan import Plan, Queries
from clir_core.scenarios import scenario_named
from clir_core.scenarios.pool import Pool
from clir_core.scenarios.pool_info import PoolInfo

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
POOL = {"scenario": pl.String, "lang": pl.String, "query_lang": pl.String, "share": pl.Float64}
RELATIONS = pl.Series(["unrelated", "translation", "gold"])
_OWN = 3  # the query's own document, or a translation of it: in no list


class _Tops(NamedTuple):
    """Top lists of a pair, [Q, K]: numbers of documents among all; their scores, -inf where a list has ended; what they
    are to the query; and where they stand among documents of one score."""

    doc: np.ndarray
    score: np.ndarray
    relation: np.ndarray
    place: np.ndarray


def rank_golds(plan: Plan, pools: Sequence[Pool], counts: PairCounts) -> tuple[pl.DataFrame, tuple[Skipped, ...]]:
    """One row a query, pool and gold, and the queries that a pool could not be asked for; pools are some of the plan's.

    `rank` is 1 + the documents that score at least as high; of golds of the query that score the same, only those that
    come earlier in the tie order. `outranking_<lang>` are the unrelated documents among them, `ties` those of them that
    score exactly the same; `unrelated` and, of the pivot alone, `unrelated_<pivot>` and
    `pool_<pivot>` count the query's pool.
    """
    frames: list[pl.DataFrame] = []
    skipped: list[Skipped] = []
    for pool in pools:
        queries = plan.queries[pool.query_lang]
        asked = _askable(plan, pool, queries)
        skipped += _skipped(pool, queries, asked)
        frames.append(_pool_ranks(plan, pool, counts, asked))
    return _named(plan, pools, frames).rename({"doc_lang": "gold_lang"}), tuple(skipped)


def top_lists(plan: Plan, pools: Sequence[Pool], counts: PairCounts) -> pl.DataFrame:
    """The first documents of each query in these pools, where they keep them, in the order that the ranks count by.

    Of equal scores unrelated ones come first, golds last, and among those of one kind the tie order decides.
    """
    listed = [pool for pool in pools if scenario_named(pool.scenario).keeps_top]
    if not listed:
        return pl.DataFrame(schema=TOP)
    pairs = dict.fromkeys((pool.query_lang, lang) for pool in listed for lang in pool.languages)
    tops = {pair: _tops(plan, *pair, counts[pair]) for pair in pairs}
    found = _named(plan, listed, [_pool_top(plan, pool, tops) for pool in listed])
    return found.with_columns(relation=RELATIONS.gather(found["relation"])).select(TOP.names())


def describe(plan: Plan) -> tuple[PoolInfo, ...]:
    """Every pool's languages, sizes and the hash of its documents' ids."""
    return tuple(_describe(plan, pool) for pool in plan.pools)


def _among(plan: Plan, languages: Sequence[str]) -> np.ndarray:
    """Which language codes are among these, bool [languages]."""
    return np.array([lang in languages for lang in plan.languages])


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
            what=f"{pool.query_lang} queries of {pool.label}" + (f" with {pool.lang}" if pool.lang else ""),
            reason=f"{reason} {' and '.join(pool.gold_langs)}",
            count=len(missing),
            examples=tuple(queries.query_id.gather(missing[:3])),
        )


def _pool_ranks(
    plan: Plan,
    pool: Pool,
    counts: PairCounts,
    asked: np.ndarray,
) -> pl.DataFrame:
    """Ranks in one pool, for `_named`."""
    queries = plan.queries[pool.query_lang]
    related = queries.related
    rows = np.flatnonzero(related.is_gold & _among(plan, pool.gold_langs)[related.lang] & asked[related.query])
    query = related.query[rows]
    places: dict[tuple[str, ...], np.ndarray] = {}
    above, ties = {}, np.zeros(len(rows), np.int32)
    for lang, (first, end) in pool.buckets.items():
        found, pair = counts[pool.query_lang, lang], plan.asked[pool.query_lang, lang]
        if pair.gold_langs not in places:
            places[pair.gold_langs] = np.searchsorted(plan.gold_rows(pool.query_lang, pair.gold_langs), rows)
        if pair.n_buckets == 1:
            first, end = 0, 1
        above[lang] = sum_buckets(found.above_GB, places[pair.gold_langs], first, end)
        ties += sum_buckets(found.ties_GB, places[pair.gold_langs], first, end)
    stay = _among(plan, pool.related_langs)[related.lang] & ~related.is_own
    # golds share their places fairly, all else that ties counts against them
    place = np.where(related.is_gold, queries.tie_order_QL[related.query, related.lang], -1)
    staying = count_related(related.first_Q, related.query, related.score, place, stay, rows)
    return pl.DataFrame(
        {
            "query": _begin(plan.queries)[pool.query_lang] + query,
            "doc": _document_numbers(plan, related.lang[rows], related.doc[rows]),
            "grade": related.grade[rows],
            "rank": (1 + sum(above.values()) + staying).astype(np.int32),
            "score": related.score[rows],
            "ties": ties,
            "n_golds": np.bincount(query, minlength=len(queries))[query].astype(np.int32),
            **{name: column[query] for name, column in _sizes(plan, pool, queries).items()},
            **{f"outranking_{lang}": column for lang, column in above.items()},
        }
    )


def _sizes(plan: Plan, pool: Pool, queries: Queries) -> dict[str, np.ndarray]:
    """Documents in each query's pool, int32 [Q]: all, the unrelated ones, and the pivot's of both kinds."""
    related = queries.related
    pool_pivot, unrelated_pivot = f"pool_{plan.pivot}", f"unrelated_{plan.pivot}"
    names = ("pool_size", pool_pivot, "unrelated", unrelated_pivot)
    sizes = dict.fromkeys(names, np.zeros(len(queries), np.int32))
    for lang, (first, end) in pool.buckets.items():
        same = related.lang == plan.languages.index(lang)
        inside = same & (related.bucket >= first) & (related.bucket < end)
        ends = plan.documents[lang].ends
        unrelated = ends[end] - ends[first] - np.bincount(related.query[inside], minlength=len(queries))
        stays = related.query[same & ~related.is_own]
        stay = np.bincount(stays, minlength=len(queries)) if lang in pool.related_langs else 0
        parts = {"pool_size": unrelated + stay, "unrelated": unrelated}
        if lang == plan.pivot:
            parts |= {pool_pivot: unrelated + stay, unrelated_pivot: unrelated}
        sizes |= {name: (sizes[name] + part).astype(np.int32) for name, part in parts.items()}
    return sizes


def _tops(plan: Plan, query_lang: str, doc_lang: str, counts: Counts) -> _Tops:
    lang, doc, queries = plan.languages.index(doc_lang), counts.top_doc_QK, plan.queries[query_lang]
    relation = _relation(queries, lang, doc)
    place = relation * np.int16(len(plan.languages)) + queries.tie_order_QL[:, [lang]]
    return _Tops(_document_numbers(plan, lang, doc), counts.top_score_QK, relation, place)


def _pool_top(plan: Plan, pool: Pool, tops: Mapping[tuple[str, str], _Tops]) -> pl.DataFrame:
    """Top lists of one pool, for `_named`."""
    asked = np.flatnonzero(_askable(plan, pool, plan.queries[pool.query_lang]))
    found = [tops[pool.query_lang, lang] for lang in pool.languages]
    doc, score, relation, place = (np.concatenate([part[i] for part in found], axis=1)[asked] for i in range(4))
    out = np.repeat([lang not in pool.related_langs for lang in pool.languages], [part.doc.shape[1] for part in found])
    score[(out & (relation > 0)) | (relation == _OWN)] = -np.inf
    # stable: of one place, which is one language's, the lowest number, as the lists are in that order
    order = np.lexsort((place, -score), axis=1)[:, : plan.cutoff]
    query, position = np.nonzero(np.take_along_axis(score, order, axis=1) > -np.inf)
    at = query, order[query, position]
    return pl.DataFrame(
        {
            "query": _begin(plan.queries)[pool.query_lang] + asked[query],
            "doc": doc[at],
            "position": (position + 1).astype(np.int32),
            "score": score[at],
            "relation": relation[at],
        }
    )


def _relation(queries: Queries, lang: int, doc_QK: np.ndarray) -> np.ndarray:
    """What each document of a top list is to its query: 0 unrelated, 1 a gold's translation, 2 a gold, or _OWN."""
    rows = np.flatnonzero(queries.related.lang == lang)
    stride = int(max(doc_QK.max(initial=0), queries.related.doc.max(initial=0))) + 1
    known = queries.related.query[rows].astype(np.int64) * stride + queries.related.doc[rows]
    asked = np.arange(len(doc_QK))[:, None] * stride + doc_QK
    if not len(known):
        return np.zeros(doc_QK.shape, np.uint8)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    hit = (known[at] == asked) & (doc_QK >= 0)
    kind = np.where(queries.related.is_own, _OWN, 1 + queries.related.is_gold)
    return np.where(hit, kind[rows][at], 0).astype(np.uint8)


def _begin(parts: Mapping[str, Sized]) -> dict[str, int]:
    """Where each language begins when all lie in a row."""
    return dict(zip(parts, np.cumsum([0, *map(len, parts.values())]).tolist(), strict=False))


def _document_numbers(plan: Plan, lang: np.ndarray | int, doc: np.ndarray) -> np.ndarray:
    """Numbers among the documents of all languages, of documents given as language codes and numbers."""
    return np.array(list(_begin(plan.documents).values()))[lang] + doc


def _named(plan: Plan, pools: Sequence[Pool], frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The pools' frames in one, with names instead of numbers: once for all, as names are most of the work."""
    numbers = pl.concat(frames, how="diagonal")
    pool = pl.DataFrame([(pool.label, pool.lang, pool.query_lang, pool.share) for pool in pools], POOL, orient="row")
    documents = pl.concat(
        pl.DataFrame(
            {"doc_id": found.doc_id, "doc_lang": pl.repeat(lang, len(found), eager=True), "group_id": found.group_id}
        )
        for lang, found in plan.documents.items()
    )
    return pl.concat(
        [
            pool[np.repeat(np.arange(len(pools)), [len(frame) for frame in frames])],
            pl.concat([queries.query_id for queries in plan.queries.values()]).gather(numbers["query"]).to_frame(),
            documents[numbers["doc"]],
            numbers.drop("query", "doc"),
        ],
        how="horizontal",
    )


def _describe(plan: Plan, pool: Pool) -> PoolInfo:
    digest, sizes = hashlib.sha256(), {}
    for lang, (first, end) in pool.buckets.items():
        ends = plan.documents[lang].ends
        ids = plan.documents[lang].doc_id[ends[first] : ends[end]]
        digest.update("\n".join([*ids, ""]).encode())
        sizes[lang] = len(ids)
    return PoolInfo(
        scenario=pool.label,
        query_lang=pool.query_lang,
        lang=pool.lang,
        languages=pool.languages,
        sizes=sizes,
        share=pool.share,
        seed=plan.seed,
        documents_sha256=digest.hexdigest(),
        per_query=scenario_named(pool.scenario).beside(plan.pivot).per_query,
    )
