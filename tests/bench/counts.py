"""Peak memory and time of an audit's default scenarios over many languages, from random vectors to metrics.

A parallel corpus as Belebele's: every passage and every query in every language. Ranks in this process, with no Ray.
    python tests/bench/counts.py [--languages 122 --passages 488 --queries 900]
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from clir_core.corpus.clusters import cluster_queries
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.measure.pieces import measure_ranks
from clir_core.rank.batches import batches, check_fits
from clir_core.rank.plan import make_plan
from clir_core.rank.ranking import in_threads, rank_plan
from clir_core.scenarios import SCENARIOS

CUTOFFS = (10,)


def corpus(languages: list[str], passages: int, queries: int) -> Corpus:
    langs = pl.DataFrame({"lang": languages})
    docs = langs.join(pl.DataFrame({"group_id": [f"p{i}" for i in range(passages)]}), how="cross").select(
        pl.format("{}/{}", "lang", "group_id").alias("doc_id"), "group_id", "lang", text=pl.lit("x"), title=None
    )
    asked = langs.join(pl.DataFrame({"group_id": [f"q{i}" for i in range(queries)]}), how="cross").select(
        pl.format("{}/{}", "lang", "group_id").alias("query_id"), "group_id", "lang", text=pl.lit("x")
    )
    about = pl.col("group_id").str.slice(1).cast(pl.Int32) % passages
    judged = asked.select("query_id", group_id=pl.format("p{}", about), doc_id=None, grade=1)
    return Corpus(
        "parallel", *(t.to_arrow().cast(s) for t, s in ((docs, DOCUMENTS), (asked, QUERIES), (judged, QRELS)))
    )


def unit(n: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peak() -> float:
    """GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--languages", type=int, default=122)
    options.add_argument("--passages", type=int, default=488)
    options.add_argument("--queries", type=int, default=900)
    options.add_argument("--dim", type=int, default=384)
    asked = options.parse_args()
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:6.0f} s, peak {peak():.2f} GiB: {what}", flush=True)

    say("imports")
    languages = [ENGLISH, *(f"x{i:03d}" for i in range(1, asked.languages))]
    made = corpus(languages, asked.passages, asked.queries)
    plan = make_plan(made, languages, SCENARIOS, max(CUTOFFS), 0)
    check_fits(plan)
    say(f"plan: {len(plan.pools):,} pools, {len(list(batches(plan)))} batches")
    documents = {lang: unit(len(plan.documents[lang]), asked.dim, i) for i, lang in enumerate(languages)}
    queries = {lang: unit(len(plan.queries[lang]), asked.dim, 1000 + i) for i, lang in enumerate(languages)}

    def read(lang: str, numbers: np.ndarray) -> np.ndarray:
        return documents[lang][numbers]

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        place = Path(folder)
        rank_plan(plan, queries, read, in_threads(read, 2), place, lambda done, todo: None)
        rows = pl.scan_parquet(place / "ranks.parquet").select(pl.len()).collect().item()
        size = sum(path.stat().st_size for path in place.iterdir()) / 2**30
        say(f"ranked: {rows:,} ranks, {size:.2f} GiB of files")
        frame = pl.DataFrame(pl.from_arrow(made.queries)).join(cluster_queries(made, "passage"), on="query_id")
        found = measure_ranks(place, frame, CUTOFFS, place / "queries.parquet")
        say(f"measured: {len(found.metrics):,} figures")


if __name__ == "__main__":
    main()
