"""The state of a training run in a directory: weights, optimiser, position and random states, without pickles.

A run that is killed at any step and started again ends with the weights of one that was left alone.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from clir_core.errors import AlignError

_TENSORS, _REST = "state.safetensors", "state.json"


def save_state(
    directory: Path, model: nn.Module, optimiser: Optimizer, schedule: LRScheduler, step: int, best: float | None
) -> None:
    """Write everything that the next step depends on; the JSON file, written last, makes it complete."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value.detach().contiguous() for name, value in model.state_dict().items()}
    state = optimiser.state_dict()
    for index, values in state["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value.contiguous() for name, value in values.items()}
    tensors["random"] = torch.get_rng_state()
    # tied weights share memory, which safetensors refuses
    save_file({name: value.clone() for name, value in tensors.items()}, directory / _TENSORS)
    rest = {"groups": state["param_groups"], "schedule": schedule.state_dict(), "step": step, "best": best}
    (directory / _REST).write_text(json.dumps(rest), "utf-8")


def load_state(
    directory: Path, model: nn.Module, optimiser: Optimizer, schedule: LRScheduler
) -> tuple[int, float | None]:
    """Put a saved state back. Returns the steps done and the best evaluation so far."""
    try:
        tensors = load_file(directory / _TENSORS)
        rest = json.loads((directory / _REST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AlignError(f"{directory}: not a saved training state ({error}); delete it to start again") from error
    weights: dict[str, Tensor] = {}
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest_of_name = name.partition(".")
        if kind == "model":
            weights[rest_of_name] = value
        elif kind == "optimiser":
            index, key = rest_of_name.split(".")
            found.setdefault(int(index), {})[key] = value
    model.load_state_dict(weights)
    optimiser.load_state_dict({"state": found, "param_groups": rest["groups"]})
    schedule.load_state_dict(rest["schedule"])
    torch.set_rng_state(tensors["random"].to(torch.uint8))
    return rest["step"], rest["best"]
