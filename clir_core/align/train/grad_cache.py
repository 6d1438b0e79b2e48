"""Gradient caching (Gao et al. 2021, GradCache): a large batch's exact gradient in the memory of a small one.

Embed in micro-batches without a graph, take the loss's gradient at the embeddings, then embed each micro-batch again,
with a graph and the same random state, and pass its part of that gradient on to the weights.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

Features = Mapping[str, Tensor]
Forward = Callable[[Features], Tensor]
Objective = Callable[[dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


def cached_step(
    model_forward: Forward,
    batch_inputs: Mapping[str, Features],
    objective: Objective,
    micro_batch: int,
    no_sync: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add the gradient of objective({side: embeddings}) to the weights; returns its value and parts, without graph.

    batch_inputs holds model inputs [N, ...] by side; a side of no rows is left out. model_forward enters autocast
    itself, where it is wanted: a context around this call would hand the second pass weights that were cached without
    a graph. Under DDP pass model.no_sync, so that workers exchange gradients once, at the last micro-batch.
    """
    chunks = [(side, part) for side, features in batch_inputs.items() for part in _parts(features, micro_batch)]
    states, leaves = [], []
    for _, part in chunks:
        states.append(_random_states(part))
        with torch.no_grad():
            leaves.append(model_forward(part))
    for leaf in leaves:
        leaf.requires_grad_()
    sides = [side for side, _ in chunks]
    embeddings = {
        side: torch.cat([leaf for leaf, of in zip(leaves, sides, strict=True) if of == side])
        for side in dict.fromkeys(sides)
    }
    total, parts = objective(embeddings)
    total.backward()
    for i, ((_, part), leaf, state) in enumerate(zip(chunks, leaves, states, strict=True)):
        with nullcontext() if i == len(chunks) - 1 else no_sync(), _replayed(state):
            # a side that the loss does not use still runs: under DDP workers must agree on what is exchanged
            model_forward(part).backward(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)
    return total.detach(), {name: value.detach() for name, value in parts.items()}


def _parts(features: Features, size: int) -> Iterator[dict[str, Tensor]]:
    """Consecutive rows of the model's inputs, at most `size` at a time."""
    n_rows = len(next(iter(features.values())))
    for start in range(0, n_rows, size):
        yield {name: value[start : start + size] for name, value in features.items()}


def _random_states(features: Features) -> tuple[Tensor, dict[torch.device, Tensor]]:
    """The generators that dropout draws from: the CPU's, and those of the GPUs that the features lie on."""
    devices = {value.device for value in features.values() if value.is_cuda}
    return torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}


@contextmanager
def _replayed(state: tuple[Tensor, dict[torch.device, Tensor]]) -> Iterator[None]:
    """Run with an earlier random state, then go on as if nothing had been drawn."""
    cpu, gpus = state
    with torch.random.fork_rng(devices=list(gpus)):
        torch.set_rng_state(cpu)
        for device, gpu in gpus.items():
            torch.cuda.set_rng_state(gpu, device)
        yield
