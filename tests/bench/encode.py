"""Encoding speed against sentence-transformers' own `encode`, on XQuAD's passages and questions.

Both use the same model and threads in one process, in turn; `encode` gets the batch size that is its best on a sample.
    python tests/bench/encode.py [--xquad DIR] [--rounds 2] [--every 1]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from clir_core.corpus.texts import document_texts, query_texts
from clir_core.model.checkpoint import BUNDLED, EncodingSpec, resolve
from clir_core.model.encoder import load_encoder
from clir_core.sources import read_corpus

XQUAD = Path(os.environ.get("CLIR_XQUAD", Path(__file__).parents[3] / "shared/data/xquad"))


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    started = time.perf_counter()
    vectors = work()
    return time.perf_counter() - started, vectors


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--xquad", type=Path, default=XQUAD)
    options.add_argument("--model", default=BUNDLED)
    options.add_argument("--languages", default="zh,de,th")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--every", type=int, default=1, help="only every so many texts: a quicker look")
    options.add_argument("--workspace", type=Path, default=Path(".clir"))
    asked = options.parse_args()
    corpus = read_corpus(f"xquad:{asked.xquad}", asked.languages.split(","))
    texts = {"document": document_texts(corpus)["text"].to_list(), "query": query_texts(corpus)["text"].to_list()}
    texts = {kind: found[:: asked.every] for kind, found in texts.items()}
    checkpoint = resolve(asked.model, EncodingSpec(), asked.workspace / "models", "float32")
    encoder = load_encoder(checkpoint)
    # as anyone would load it, without our linear layers
    model = SentenceTransformer(str(checkpoint.path), device="cpu", model_kwargs={"dtype": torch.float32})
    model.max_seq_length = checkpoint.max_tokens

    def theirs(size: int, step: int = 1) -> np.ndarray:
        parts = [model.encode(texts[kind][::step], prompt=checkpoint.prompt(kind), batch_size=size) for kind in texts]
        return np.concatenate(parts)

    def ours() -> np.ndarray:
        return np.concatenate([encoder.encode(texts[kind], kind) for kind in texts])

    n_texts = sum(map(len, texts.values()))
    print(f"{n_texts} texts, {torch.get_num_threads()} threads, {checkpoint.name}")
    step = max(1, 12 // asked.every)
    sample = {size: timed(lambda size=size: theirs(size, step))[0] for size in (4, 8, 16, 32, 64)}
    best = min(sample, key=sample.__getitem__)
    print("encode on a sample, seconds by batch size:", {size: round(s, 2) for size, s in sample.items()})
    ratios = []
    for _ in range(asked.rounds):
        their_seconds, their_vectors = timed(lambda: theirs(best))
        our_seconds, our_vectors = timed(ours)
        cosine = (their_vectors * our_vectors).sum(axis=1) / np.linalg.norm(their_vectors, axis=1)
        ratios.append(their_seconds / our_seconds)
        print(
            f"encode (batch {best}): {n_texts / their_seconds:.1f} texts/s   ours: {n_texts / our_seconds:.1f}   "
            f"ratio {ratios[-1]:.2f}   lowest cosine {cosine.min():.6f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f} over {len(ratios)} pairs")


if __name__ == "__main__":
    main()
