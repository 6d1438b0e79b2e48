"""The state of a training run in a folder: weights, optimiser, position and random states, without pickles.

A run that is killed at any step and started again ends with the weights of one that was left alone.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from clir_core.errors import AlignError
from clir_core.workspace.atomic import write_folder

_TENSORS, _REST = "state.safetensors", "state.json"


def random_state(device: str) -> Tensor:
    """What dropout draws from in this process, on the CPU and on its GPU: uint8 [bytes]."""
    states = [torch.get_rng_state()]
    if device.startswith("cuda"):
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: Tensor, device: str) -> None:
    """Draw as the process did that `random_state` was asked in."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state[size:], device)


def save_state(
    folder: Path,
    weights: Mapping[str, Tensor],
    optimiser: Optimizer,
    schedule: LRScheduler,
    step: int,
    random_WB: Tensor,
) -> None:
    """Write all that the next step depends on, every worker's random state included, and drop earlier states.

    `weights` are those that are trained: the others are the base's.
    A state appears whole or not at all. StoreError where there is no space or no right to write.
    """
    tensors = {f"model.{name}": value.detach() for name, value in weights.items()}
    state = optimiser.state_dict()
    for index, values in state["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in values.items()}
    rest = {"groups": state["param_groups"], "schedule": schedule.state_dict(), "step": step}

    def write(scratch: Path) -> None:
        everything = {**tensors, "random": random_WB}
        save_file({name: value.contiguous() for name, value in everything.items()}, scratch / _TENSORS)
        (scratch / _REST).write_text(json.dumps(rest), "utf-8")

    write_folder(folder / f"step-{step:07d}", write, replace=True)
    for other in folder.iterdir():
        if other.name != f"step-{step:07d}":
            shutil.rmtree(other, ignore_errors=True)


def newest_state(folder: Path) -> Path | None:
    """The state that training goes on from; None where it starts."""
    return max(folder.glob("step-*"), default=None)


def load_state(
    directory: Path, weights: Mapping[str, Tensor], optimiser: Optimizer, schedule: LRScheduler
) -> tuple[int, Tensor]:
    """Put a saved state back into the weights that are trained.

    Returns the steps done and every worker's random state, uint8 [workers, bytes]. AlignError where the directory holds
    none that can be read.
    """
    try:
        tensors = load_file(directory / _TENSORS)
        rest = json.loads((directory / _REST).read_text("utf-8"))
        _put_back(tensors, rest["groups"], weights, optimiser)
        schedule.load_state_dict(rest["schedule"])
        return int(rest["step"]), tensors["random"]
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        raise AlignError(
            f"{directory}: not a saved training state ({type(error).__name__}: {error}); delete it to start again"
        ) from error


def _put_back(
    tensors: Mapping[str, Tensor], groups: list[dict[str, Any]], weights: Mapping[str, Tensor], optimiser: Optimizer
) -> None:
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest_of_name = name.partition(".")
        if kind == "optimiser":
            index, key = rest_of_name.split(".")
            found.setdefault(int(index), {})[key] = value
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"model.{name}"])
    optimiser.load_state_dict({"state": found, "param_groups": groups})
