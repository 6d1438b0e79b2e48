"""Linear layers through oneDNN: float32 products on AMD's CPUs in half the time of MKL, which keeps to AVX2 there.

The same formula in float32; the last bits differ, as sums are taken in another order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def use_onednn(model: nn.Module) -> None:
    """Let every linear layer of a model compute with oneDNN where it can: on a CPU, in float32."""
    # what torch's own compiler calls; builds without oneDNN have no such operator
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        for module in model.modules():
            if type(module) is nn.Linear:
                module.__class__ = OneDnnLinear


@contextmanager
def as_onednn(model: nn.Module) -> Iterator[None]:
    """The same, for as long as a `with` block lasts."""
    use_onednn(model)
    try:
        yield
    finally:
        for module in model.modules():
            if type(module) is OneDnnLinear:
                module.__class__ = nn.Linear  # type: ignore[assignment]


class OneDnnLinear(nn.Linear):
    """nn.Linear by another library: same parameters, same names."""

    def forward(self, values: Tensor) -> Tensor:
        """values [..., I] @ weight.T + bias, [..., O]."""
        if values.device.type != "cpu" or {values.dtype, self.weight.dtype} != {torch.float32} or not values.numel():
            return super().forward(values)
        return _Linear.apply(values, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(values, weight_OI)
        return _product(values, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        values, weight_OI = ctx.saved_tensors
        needed = ctx.needs_input_grad
        slope_NO = slope.reshape(-1, slope.shape[-1])
        return (
            _product(slope, weight_OI.t()) if needed[0] else None,
            _product(slope_NO.t(), values.reshape(-1, values.shape[-1]).t()) if needed[1] else None,
            slope_NO.sum(0) if needed[2] else None,
        )


def _product(rows: Tensor, columns: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows @ columns.T + bias."""
    return torch.ops.mkldnn._linear_pointwise(rows, columns, bias, "none", [], "")
