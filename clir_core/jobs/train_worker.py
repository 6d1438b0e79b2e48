"""One worker's share of a training, in a process that Ray Train started."""

from typing import Any

import torch
from ray.train import get_context
from ray.train.torch import get_device, prepare_model

from clir_core.align.train.worker import work

# rows without a q_x make for fewer forward passes, where buffers would be exchanged; a pooler has no gradient
_OPTIONS = {"forward_sync_buffers": False, "find_unused_parameters": True}


def work_beside_others(threads: int, **asked: Any) -> None:
    """Train to the end beside the other workers; `asked` is a Fitting."""
    torch.set_num_threads(threads)
    work(
        **asked,
        device=str(get_device()),
        worker=get_context().get_world_rank(),
        wrap=lambda model: prepare_model(model, parallel_strategy_kwargs=_OPTIONS),
    )
