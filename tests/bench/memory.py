"""Peak memory of ranking a million stored vectors of 384 dimensions for 2,380 queries, above the interpreter's imports.

python tests/bench/memory.py [--documents 1000000]
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.rank.plan import make_plan
from clir_core.rank.ranking import in_threads, rank_plan
from clir_core.rank.store import VectorTable, rows
from clir_core.scenarios import SCENARIOS

DIM, N_QUERIES, SHARD = 384, 1190, 50_000
LANGS = ("en", "zh")


def ids(documents: int) -> dict[str, list[str]]:
    return {lang: [f"{lang}/{i:07d}" for i in range(documents // len(LANGS))] for lang in LANGS}


def unit(n: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(uri: str, documents: int) -> None:
    """Write the table, in a process of its own so that its memory does not count."""
    table = VectorTable.create(uri, "documents", DIM)
    for lang, names in ids(documents).items():
        for start in range(0, len(names), SHARD):
            part = names[start : start + SHARD]
            frame = pl.DataFrame({"id": part, "group_id": [name[3:] for name in part]})
            table.append(rows(frame.with_columns(lang=pl.lit(lang), text_hash=pl.lit("")), unit(len(part), start)))


def corpus(documents: int) -> Corpus:
    names = ids(documents)
    table = pl.concat(
        pl.DataFrame({"doc_id": part, "group_id": [name[3:] for name in part]}).with_columns(
            lang=pl.lit(lang), text=pl.lit("x"), title=pl.lit(None, pl.String)
        )
        for lang, part in names.items()
    )
    asked = [(f"{lang}/q{i}", f"q{i}", lang, "x") for lang in LANGS for i in range(N_QUERIES)]
    step = documents // len(LANGS) // N_QUERIES
    judged = [(f"{lang}/q{i}", f"{i * step:07d}", None, 1) for lang in LANGS for i in range(N_QUERIES)]
    return Corpus(
        "memory",
        table.to_arrow().cast(DOCUMENTS),
        pa.Table.from_pylist([dict(zip(QUERIES.names, row, strict=True)) for row in asked], schema=QUERIES),
        pa.Table.from_pylist([dict(zip(QRELS.names, row, strict=True)) for row in judged], schema=QRELS),
    )


def rank(uri: str, documents: int) -> None:
    import torch

    torch.set_num_threads(2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    plan = make_plan(corpus(documents), LANGS, SCENARIOS, 10, 0)
    table = VectorTable(uri, "documents")
    found = {
        lang: table.find(pl.DataFrame({"id": docs.doc_id}).with_columns(text_hash=pl.lit("")))["row_id"].to_numpy()
        for lang, docs in plan.documents.items()
    }
    queries = {lang: unit(N_QUERIES, seed) for seed, lang in enumerate(LANGS)}

    def read(lang: str, numbers: np.ndarray) -> np.ndarray:
        return table.vectors(found[lang][numbers])

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        rank_plan(plan, queries, read, in_threads(read, 2), Path(folder), lambda done, todo: None)
        ranks = pl.scan_parquet(Path(folder) / "ranks.parquet").select(pl.len()).collect().item()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{documents:,} documents, {2 * N_QUERIES:,} queries, {ranks:,} ranks in "
        f"{time.perf_counter() - started:.0f} s; peak {(peak - before) / 2**20:.2f} GiB above "
        f"{before / 2**20:.2f} GiB of interpreter and imports"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--documents", type=int, default=1_000_000)
    asked = options.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as uri:
        for work in (fill, rank):
            process = spawn.Process(target=work, args=(uri, asked.documents))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{work.__name__} failed")


if __name__ == "__main__":
    main()
