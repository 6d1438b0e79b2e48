"""What this machine computes vectors with, told without starting anything."""

import os
from pathlib import Path


def has_gpu_here() -> bool:
    """Whether processes of this machine will see a GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible not in ("", "-1")
    return any(Path("/dev").glob("nvidia[0-9]*"))


def dtype_of(gpu: bool) -> str:
    """What vectors are computed in: 16 bits are faster on GPUs alone."""
    return "bfloat16" if gpu else "float32"
