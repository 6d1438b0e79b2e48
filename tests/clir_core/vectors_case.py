"""Texts by their numbers and each number's own vector, for a vector table."""

import numpy as np
import polars as pl

from clir_core.rank.store import VectorTable, rows

DIM = 8


def texts(start: int, stop: int, text_hash: str = "h") -> pl.DataFrame:
    """Texts of these numbers as a shard needs them."""
    numbers = range(start, stop)
    return pl.DataFrame(
        {
            "id": [f"d{i}" for i in numbers],
            "group_id": [f"g{i // 2}" for i in numbers],
            "lang": ["en" if i % 2 else "zh" for i in numbers],
            "text_hash": [f"{text_hash}{i}" for i in numbers],
        }
    )


def vectors_of(start: int, stop: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """Each number's own vector, with every bit in use."""
    return np.stack([np.random.default_rng([seed, i]).standard_normal(dim) for i in range(start, stop)]).astype("f4")


def put(table: VectorTable, start: int, stop: int, dim: int = DIM) -> None:
    table.append(rows(texts(start, stop), vectors_of(start, stop, dim)))
