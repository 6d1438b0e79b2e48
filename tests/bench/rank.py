"""All scenarios from stored vectors, against ranking each pool apart with numpy's argsort, on XQuAD in 12 languages.

The rival is written twice. "each query's pool" builds the pool that a query is asked in and sorts it, which is what the
scenarios say; "whole matrices" is the fastest numpy we could write for the same: one product and one sort a pool, with
documents outside a query's pool masked. Both give golds' ranks alone; ours has languages, ties and top lists as well.
    python tests/bench/rank.py [--xquad DIR] [--rounds 3]
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import torch

from clir_core.audit import AuditSpec
from clir_core.jobs.cluster import cluster
from clir_core.jobs.embed import embed_corpus
from clir_core.jobs.rank import open_read
from clir_core.models import BUNDLED, resolve
from clir_core.outrank import TILE, padded
from clir_core.plan import Plan, make_plan
from clir_core.pools import rank_golds, top_lists
from clir_core.ranking import rank_block, score_related, sides, total
from clir_core.scenarios import SCENARIOS, Pool
from clir_core.sources import read_corpus
from clir_core.texts import document_texts, query_texts

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
Vectors = dict[str, np.ndarray]


def ours(plan: Plan, documents: Vectors, queries: Vectors) -> tuple[pl.DataFrame, pl.DataFrame]:
    tiles = {lang: padded(vectors) for lang, vectors in queries.items()}
    score_related(plan, tiles, lambda lang, numbers: documents[lang][numbers])
    pairs, depth = sides(plan), plan.depth
    with ThreadPoolExecutor(2) as threads:
        parts = threads.map(
            lambda block: rank_block(
                block, plan.documents[block.lang].bucket_D, documents[block.lang], tiles, pairs, depth
            ),
            plan.blocks(8192),
        )
        counts = total(plan, parts)
    return rank_golds(plan, counts)[0], top_lists(plan, counts)


def product_alone(plan: Plan, documents: Vectors, queries: Vectors) -> None:
    """The matrix products of `ours` in the same tiles and threads, and nothing else."""
    tiles = {lang: padded(vectors) for lang, vectors in queries.items()}

    def work(lang: str) -> None:
        docs_DH, scores_TT = padded(documents[lang]), torch.empty(TILE, TILE)
        for query_lang in plan.askers(lang):
            for at in range(0, len(docs_DH), TILE):
                for query_at in range(0, len(tiles[query_lang]), TILE):
                    torch.mm(tiles[query_lang][query_at : query_at + TILE], docs_DH[at : at + TILE].T, out=scores_TT)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, documents))


def golds_of(plan: Plan, pool: Pool) -> Iterator[tuple[int, str, int]]:
    related = plan.queries[pool.query_lang].related
    for query, lang, doc in zip(related.query, related.lang, related.doc, strict=True):
        if plan.languages[lang] in pool.gold_langs:
            yield query, plan.languages[lang], doc


def members(plan: Plan, pool: Pool) -> np.ndarray:
    """Which documents (all of the pool's languages in a row) each query is asked about, bool [Q, D]."""
    queries = plan.queries[pool.query_lang]
    parts = []
    for lang, (first, end) in pool.buckets.items():
        bucket_D = plan.documents[lang].bucket_D
        part = np.broadcast_to((bucket_D >= first) & (bucket_D < end), (len(queries), len(bucket_D))).copy()
        mine = queries.related.lang == plan.languages.index(lang)
        part[queries.related.query[mine], queries.related.doc[mine]] = lang in pool.related_langs
        parts.append(part)
    return np.concatenate(parts, axis=1)


def rival(plan: Plan, documents: Vectors, queries: Vectors, whole: bool) -> list[np.ndarray]:
    found = []
    for pool in plan.pools:
        begin = np.cumsum([0, *(len(documents[lang]) for lang in pool.languages)])
        offset = dict(zip(pool.languages, begin, strict=False))
        golds = np.array([(query, offset[lang] + doc) for query, lang, doc in golds_of(plan, pool)])
        docs = np.concatenate([documents[lang] for lang in pool.languages])
        asked = queries[pool.query_lang]
        inside = members(plan, pool)
        ranks = np.empty(len(golds), np.int64)
        if whole:
            scores = asked @ docs.T
            if pool.scenario.startswith(("share", "distractor")):
                scores[~inside] = -np.inf
            order, place = np.argsort(-scores, axis=1), np.empty(scores.shape, np.int32)
            np.put_along_axis(place, order, np.arange(scores.shape[1], dtype=np.int32)[None], axis=1)
            ranks = 1 + place[golds[:, 0], golds[:, 1]]
        else:
            bounds = np.searchsorted(golds[:, 0], np.arange(len(asked) + 1))
            for query in range(len(asked)):
                ids = np.flatnonzero(inside[query])
                order = ids[np.argsort(-(docs[ids] @ asked[query]))]
                for row in range(bounds[query], bounds[query + 1]):
                    ranks[row] = 1 + np.flatnonzero(order == golds[row, 1])[0]
        found.append(ranks)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--xquad", type=Path, default=XQUAD)
    options.add_argument("--model", default=BUNDLED)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--workspace", type=Path, default=Path(".clir"))
    asked = options.parse_args()
    spec = AuditSpec(model=asked.model, corpus=f"xquad:{asked.xquad}", workspace=asked.workspace)
    corpus = read_corpus(spec.corpus)
    checkpoint = resolve(spec.model, spec.encoding, spec.workspace / "models", "float32")
    with cluster(None):  # encodes on the first run only
        embedded = embed_corpus(
            corpus, checkpoint, spec, lambda kind: lambda done, todo: print(f"\r{kind}: {done} of {todo}", end="")
        )
    started = time.perf_counter()
    plan = make_plan(corpus, corpus.languages, SCENARIOS, 10, 0)
    planned = time.perf_counter() - started
    stored = open_read(embedded.documents), open_read(embedded.queries)
    rows = stored[0].find(document_texts(corpus)), stored[1].find(query_texts(corpus))
    documents, queries = {}, {}
    for lang in plan.languages:
        for vectors, table, found, ids in (
            (documents, stored[0], rows[0], plan.documents[lang].doc_id),
            (queries, stored[1], rows[1], plan.queries[lang].query_id),
        ):
            numbered = pl.DataFrame({"id": ids}).join(found, on="id", how="left", maintain_order="left")
            vectors[lang] = table.vectors(numbered["row_id"].to_numpy())

    torch.set_num_threads(1)
    n_pools = len(plan.pools)
    print(f"\n{len(plan.languages)} languages, {n_pools} pools, plan {planned:.2f} s")
    ours(plan, documents, queries)  # compiles the kernel
    for _ in range(asked.rounds):
        seconds = []
        for work in (
            lambda: ours(plan, documents, queries),
            lambda: product_alone(plan, documents, queries),
            lambda: rival(plan, documents, queries, whole=True),
            lambda: rival(plan, documents, queries, whole=False),
        ):
            started = time.perf_counter()
            result = work()
            seconds.append(time.perf_counter() - started)
        ranks = ours(plan, documents, queries)[0]["rank"].to_numpy()
        theirs = np.concatenate(result)
        print(
            f"ours {seconds[0]:.2f} s ({100 * seconds[1] / seconds[0]:.0f} % of it the matrix product alone)   "
            f"each query's pool {seconds[3]:.2f} s, ratio {seconds[3] / seconds[0]:.1f}   "
            f"whole matrices {seconds[2]:.2f} s, ratio {seconds[2] / seconds[0]:.1f}   "
            f"equal ranks {100 * (ranks == theirs).mean():.4f} %"
        )


if __name__ == "__main__":
    main()
