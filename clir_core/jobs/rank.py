"""Ranking with Ray: blocks of documents are read and counted in tasks, the driver adds the counts up."""

from collections.abc import Iterable, Sequence

import numpy as np
import ray
import torch

from clir_core.audit.result import TableRead
from clir_core.correct.correction import Correction
from clir_core.jobs.cluster import n_cpus, unwrapped
from clir_core.rank.outrank import PairCounts
from clir_core.rank.plan import Block
from clir_core.rank.ranking import Batch, CountBlocks, in_turn, rank_block
from clir_core.runs.rank import RowIds, document_vectors, open_read


def in_tasks(documents: TableRead, rows: RowIds, correction: Correction | None) -> CountBlocks:
    """Counts blocks in tasks of the cluster, each of which reads its block's vectors itself."""
    task = ray.remote(_count).options(num_cpus=1, max_retries=2)

    def count(blocks: Sequence[Block], batch: Batch) -> Iterable[PairCounts]:
        shared = ray.put((batch, correction))

        def start(block: Block) -> ray.ObjectRef:
            return task.remote(block, documents, rows[block.lang][block.start : block.stop], shared)

        return in_turn(blocks, start, unwrapped, n_cpus())

    return count


def _count(
    block: Block, documents: TableRead, row_ids: np.ndarray, shared: tuple[Batch, Correction | None]
) -> PairCounts:
    torch.set_num_threads(1)
    batch, correction = shared
    return rank_block(block, document_vectors(open_read(documents), block.lang, row_ids, correction), batch)
