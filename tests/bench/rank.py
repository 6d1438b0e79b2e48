"""All scenarios from stored vectors, against ranking each pool apart with numpy's argsort, on XQuAD in 12 languages.

The rival is written twice. "each query's pool" builds the pool that a query is asked in and sorts it, which is what the
scenarios say; "whole matrices" is the fastest numpy we could write for the same: one product and one sort a pool, with
documents outside a query's pool masked. Both give golds' ranks alone, as bare numbers; ours come as a frame with ids,
counts by language and ties. "ours" ends there (lists are kept while counting, but not made into a frame); "with top
lists" makes their frame as well.
    python tests/bench/rank.py [--xquad DIR] [--rounds 3]
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from clir_core.audit.spec import AuditSpec
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.jobs.cluster import cluster
from clir_core.jobs.workers import encoders
from clir_core.model.checkpoint import BUNDLED, resolve
from clir_core.rank.forms import TILE, padded
from clir_core.rank.outrank import PairCounts
from clir_core.rank.plan import Plan, make_plan
from clir_core.rank.pools import rank_golds, top_lists
from clir_core.rank.ranking import Batch, in_threads, score_related, total
from clir_core.runs.embed import embed_corpus
from clir_core.runs.rank import open_read
from clir_core.scenarios import SCENARIOS
from clir_core.scenarios.pool import Pool
from clir_core.sources import read_corpus

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))
Vectors = dict[str, np.ndarray]


def ours(plan: Plan, documents: Vectors, queries: Vectors) -> tuple[pl.DataFrame, PairCounts]:
    tiles = {lang: padded(vectors) for lang, vectors in queries.items()}
    score_related(plan, tiles, lambda lang, numbers: documents[lang][numbers])
    count = in_threads(lambda lang, numbers: documents[lang][numbers], 2)
    batch = Batch(tiles, plan.sides(), plan.depth)
    counts = total(batch, count(plan.blocks(8192), batch))
    return rank_golds(plan, plan.pools, counts)[0], counts


def product_alone(plan: Plan, documents: Vectors, queries: Vectors) -> None:
    """The matrix products of `ours` in the same tiles and threads, and nothing else."""
    tiles = {lang: padded(vectors) for lang, vectors in queries.items()}

    def work(lang: str) -> None:
        docs_DH, scores_TT = padded(documents[lang]), torch.empty(TILE, TILE)
        for query_lang in (asker for asker, doc_lang in plan.asked if doc_lang == lang):
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
            corpus,
            checkpoint,
            spec,
            lambda kind: lambda done, todo: print(f"\r{kind}: {done} of {todo}", end=""),
            encoders=encoders,
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
        (ranks, counts), alone = timed(ours, plan, documents, queries)
        _, listing = timed(top_lists, plan, plan.pools, counts)
        _, product = timed(product_alone, plan, documents, queries)
        _, whole = timed(rival, plan, documents, queries, True)
        theirs, apart = timed(rival, plan, documents, queries, False)
        print(
            f"ours {alone:.2f} s, with top lists {alone + listing:.2f} s, matrix product alone {product:.2f} s "
            f"({100 * product / alone:.0f} %, {100 * product / (alone + listing):.0f} %)"
        )
        for name, seconds in (("each query's pool", apart), ("whole matrices", whole)):
            print(f"  {name} {seconds:.2f} s, ratio {seconds / alone:.1f}, {seconds / (alone + listing):.1f}")
        print(f"  equal ranks {100 * (ranks['rank'].to_numpy() == np.concatenate(theirs)).mean():.4f} %")


def timed(work: Callable[..., Any], *inputs: object) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work(*inputs)
    return result, time.perf_counter() - started


if __name__ == "__main__":
    main()
