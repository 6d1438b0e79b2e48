"""An approximate index of a pool's documents as it is served: built by LanceDB, and asked as its users ask it."""

from collections.abc import Iterator
from math import isqrt
from pathlib import Path

import lancedb.index as kinds
import numpy as np
import pyarrow as pa

from clir_core.errors import SpecError, first_line
from clir_core.rank.index_spec import Serves
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


class ServedIndex:
    """Documents by their numbers, in an index."""

    def __init__(self, folder: Path, documents_DH: np.ndarray, spec: Serves, unit: bool) -> None:
        """Build it in a folder; by cosine where vectors are of length 1, else by dot product.

        SpecError where there are too few documents for such an index.
        """
        self._spec, self.similarity = spec, "cosine" if unit else "dot"
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(documents_DH, np.float32).reshape(-1)), documents_DH.shape[1]
        )
        rows = pa.table({"row": np.arange(len(documents_DH), dtype=np.int64), "vector": vectors})
        self.partitions = 1 if spec.is_graph else spec.index_partitions or max(1, isqrt(len(documents_DH)))
        config = _CONFIGS[str(spec.index)](distance_type=self.similarity, num_partitions=self.partitions)
        with explained(folder):
            self._table = connect(str(folder)).create_table(_TABLE, rows)
        try:
            self._table.create_index("vector", config=config)
            told = self._unindexed()
        except RuntimeError as error:
            told = first_line(error)
        if told:
            raise SpecError(
                f"{spec.index} of {len(documents_DH):,} documents with {self.partitions} partitions cannot be built "
                f"({told}); take ivf_flat, fewer index_partitions, or a larger corpus"
            )

    def _unindexed(self) -> str:
        """What LanceDB says of too few documents for a quantiser: nothing, and searches them all, exactly."""
        (name,) = (one.name for one in self._table.list_indices())
        stats = self._table.index_stats(name)
        left = stats.num_unindexed_rows if stats else len(self._table)
        return f"{left:,} documents are not in it" if left else ""

    def search(self, queries_QH: np.ndarray, effort: int, k: int) -> Iterator[np.ndarray]:
        """For each query the numbers of at most k documents, best first."""
        for query_H in queries_QH:
            asked = self._table.search(query_H.astype(np.float32)).distance_type(self.similarity).limit(k)
            asked = asked.ef(max(effort, k)) if self._spec.is_graph else asked.nprobes(min(effort, self.partitions))
            yield asked.select(["row", "_distance"]).to_arrow()["row"].to_numpy()
