"""Which triples a step sees: batches of like length, in an order that the seed and the epoch alone decide."""

from collections.abc import Sequence

import numpy as np

# batches sorted together: long enough that lengths are alike, short enough that their company changes every epoch
WINDOW_BATCHES = 8


class Batches:
    """The batches of a whole run by step: every epoch sees every triple once, but for the part of a batch left over."""

    def __init__(self, lengths: Sequence[int] | np.ndarray, batch: int, epochs: int, seed: int) -> None:
        self._lengths_N, self._batch, self._seed = np.asarray(lengths), batch, seed
        self._an_epoch = len(self._lengths_N) // batch
        self._epoch, self._of_epoch = -1, list[np.ndarray]()
        self.steps = self._an_epoch * epochs

    def rows(self, step: int) -> np.ndarray:
        """Rows of the step's batch, int64 [batch], steps counted from 0."""
        epoch, at = divmod(step, self._an_epoch)
        if epoch != self._epoch:
            self._epoch, self._of_epoch = epoch, epoch_batches(self._lengths_N, self._batch, epoch, self._seed)
        return self._of_epoch[at]


def epoch_batches(lengths_N: np.ndarray, batch: int, epoch: int, seed: int) -> list[np.ndarray]:
    """Batches, int64 [batch] each, whole ones only.

    Triples are shuffled, sorted by length within windows, and the batches shuffled again.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths_N))
    window = batch * WINDOW_BATCHES
    batches = []
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths_N[part], kind="stable")]
        batches += [part[i : i + batch] for i in range(0, len(part) - batch + 1, batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def share_of(batch_N: np.ndarray, worker: int, workers: int) -> np.ndarray:
    """A worker's rows of a global batch, int64 [N / workers]; every worker has as many."""
    size = len(batch_N) // workers
    return batch_N[worker * size : (worker + 1) * size]
