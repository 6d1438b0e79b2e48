"""An approximate index of a pool's documents as it is served: built by LanceDB, and asked as its users ask it."""

from collections.abc import Iterator
from math import isqrt
from pathlib import Path

import lancedb.index as kinds
import numpy as np
import pyarrow as pa

from clir_core.errors import SpecError, first_line
from clir_core.rank.index_spec import Indexes
from clir_core.workspace.lance import connect
from clir_core.workspace.storage import explained

_CONFIGS = {
    "ivf_flat": kinds.IvfFlat,
    "ivf_sq": kinds.IvfSq,
    "ivf_pq": kinds.IvfPq,
    "hnsw_flat": kinds.HnswFlat,
    "hnsw_sq": kinds.HnswSq,
    "hnsw_pq": kinds.HnswPq,
}
_TABLE = "documents"
_SUB_VECTOR = 16  # dimensions of a product quantiser's part


class BuiltIndex:
    """Documents by their numbers, in an index."""

    def __init__(self, folder: Path, documents_DH: np.ndarray, spec: Indexes, unit: bool) -> None:
        """Build it in a folder; by cosine where vectors are of length 1, else by dot product.

        SpecError where there are too few documents for such an index.
        """
        self._is_graph, self.similarity = spec.is_graph, "cosine" if unit else "dot"
        self._padded = _SUB_VECTOR if str(spec.index).endswith("pq") else 1
        n = len(documents_DH)
        self.partitions = 1 if spec.is_graph else min(spec.index_partitions or max(1, isqrt(n)), n)
        vectors_DH = self._whole(documents_DH)
        flat = pa.array(np.ascontiguousarray(vectors_DH, np.float32).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, vectors_DH.shape[1])
        rows = pa.table({"row": np.arange(n, dtype=np.int64), "vector": vectors})
        # with its usual 256 vectors a partition LanceDB trains fewer partitions than it is asked for, and only warns
        sampled = max(1, min(256, n // self.partitions))
        config = _CONFIGS[str(spec.index)](
            distance_type=self.similarity, num_partitions=self.partitions, sample_rate=sampled
        )
        with explained(folder):
            self._table = connect(str(folder)).create_table(_TABLE, rows)
        try:
            self._table.create_index("vector", config=config)
            told = self._unindexed()
        except RuntimeError as error:
            told = first_line(error)
        if told:
            raise SpecError(
                f"{spec.index} of {n:,} documents with {self.partitions} partitions cannot be built "
                f"({told}); take ivf_flat, fewer index_partitions, or a larger corpus"
            )

    def _unindexed(self) -> str:
        """What LanceDB says of too few documents for a quantiser: nothing, and searches them all, exactly."""
        (name,) = (one.name for one in self._table.list_indices())
        stats = self._table.index_stats(name)
        left = stats.num_unindexed_rows if stats else len(self._table)
        return f"{left:,} documents are not in it" if left else ""

    def effort(self, asked: int, k: int) -> int:
        """How hard it can be searched for k documents: a graph keeps k candidates, a file has so many partitions."""
        return max(asked, k) if self._is_graph else min(asked, self.partitions)

    def search(self, queries_QH: np.ndarray, effort: int, k: int) -> Iterator[np.ndarray]:
        """For each query the numbers of at most k documents, best first."""
        for query_H in self._whole(queries_QH):
            asked = self._table.search(query_H.astype(np.float32)).distance_type(self.similarity).limit(k)
            asked = asked.ef(effort) if self._is_graph else asked.nprobes(effort)
            yield asked.select(["row", "_distance"]).to_arrow()["row"].to_numpy()

    def _whole(self, vectors_NH: np.ndarray) -> np.ndarray:
        """With zeros behind, which change no score: vectors of an odd length would get one code each."""
        return np.pad(vectors_NH, ((0, 0), (0, -vectors_NH.shape[1] % self._padded)))
