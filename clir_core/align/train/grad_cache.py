"""Gradient caching (Gao et al. 2021, GradCache): a large batch's exact gradient in the memory of a small one.

Embed in micro-batches without a graph, take the loss's gradient at the embeddings, then embed each micro-batch again,
with a graph and the same random state, and pass its part of that gradient on to the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

Features = Mapping[str, Any]
Forward = Callable[[Features], Tensor]
Objective = Callable[[dict[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]


def cached_step(
    model_forward: Forward,
    chunks: Sequence[tuple[str, Features]],
    objective: Objective,
    no_sync: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add the gradient of objective({side: embeddings}) to the weights; returns its value and parts, without graph.

    chunks are a side's name and the model's inputs of some of its rows, in order. model_forward enters autocast
    itself, where it is wanted: a context around this call would hand the second pass weights that were cached without
    a graph. Under DDP pass model.no_sync, so that workers exchange gradients once, at the last micro-batch.
    """
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


def in_parts(texts: Mapping[str, list[str]], size: int) -> Iterator[tuple[str, list[str]]]:
    """Each side's name with at most `size` of its texts at a time. Not inputs: not all of these have a row a text."""
    for side, of_side in texts.items():
        for start in range(0, len(of_side), size):
            yield side, of_side[start : start + size]


def _random_states(features: Features) -> tuple[Tensor, dict[torch.device, Tensor]]:
    """The generators that dropout draws from: the CPU's, and those of the GPUs that the features lie on."""
    devices = {value.device for value in features.values() if isinstance(value, Tensor) and value.is_cuda}
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
