"""The global batch from every worker's rows, with gradients.

Convention: every worker computes the loss of the whole batch, so all workers hold the same number; backward gives each
worker the gradient of its own rows times the number of workers, because DDP then averages over them.
DDP itself must be made with forward_sync_buffers=False: otherwise it exchanges buffers at every forward pass, and hangs
where one worker's rows have a q_x and another's have none.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def gathered(rows: Tensor) -> Tensor:
    """The rows of all workers [workers N, ...], in order of rank; the rows [N, ...] themselves where there is one.

    Every worker must call it, with the same shape and type.
    """
    return _Gather.apply(rows) if workers() > 1 else rows


def largest(value: int, device: torch.device) -> int:
    """The largest of all workers' values. Every worker must call it."""
    if workers() == 1:
        return value
    most = torch.tensor(value, device=device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return int(most)


def workers() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.n_rows = len(rows)
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # the loss is the same everywhere, so is its gradient: nothing to send
        first = dist.get_rank() * ctx.n_rows
        return gradients[0][first : first + ctx.n_rows] * dist.get_world_size()
