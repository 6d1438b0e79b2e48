"""Linear layers through oneDNN against float64, and what is left as it was."""

import copy

import pytest
import torch
from torch import nn

from clir_core.model.linear import OneDnnLinear, use_onednn

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch was built without oneDNN")


def replaced(layer: nn.Linear) -> nn.Linear:
    use_onednn(model := nn.Sequential(copy.deepcopy(layer)))
    assert isinstance(model[0], OneDnnLinear)
    return model[0]


def test_torch_still_has_the_operator_that_its_own_compiler_calls() -> None:
    assert hasattr(torch.ops.mkldnn, "_linear_pointwise"), (
        "on a CPU encoding and training fall back to torch's own product, twice as slow on AMD's: find the operator "
        "that torch/_inductor calls for a linear layer now, and call it in _product"
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 48), (3, 7, 48), (2, 3, 4, 48), (1, 48), (0, 48)])
def test_values_and_gradients_are_those_of_float64(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(48, 24, bias)
    fast, exact = replaced(plain), copy.deepcopy(plain).double()
    values, slope = torch.randn(shape), torch.randn(*shape[:-1], 24)
    ours, theirs = values.clone().requires_grad_(), values.double().requires_grad_()
    got, expected = fast(ours), exact(theirs)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    got.backward(slope)
    expected.backward(slope.double())
    torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-5, atol=1e-5)
    for (name, weight), reference in zip(fast.named_parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(weight.grad.double(), reference.grad, rtol=1e-5, atol=1e-5, msg=name)


def test_inputs_and_slopes_may_lie_in_any_order_in_memory() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(16, 8)
    values = torch.randn(16, 5, 6).permute(2, 1, 0).requires_grad_()
    slope = torch.randn(8, 5, 6).permute(2, 1, 0)
    for layer in (plain, fast := replaced(plain)):
        values.grad = None
        layer(values).backward(slope)
        layer.input_grad = values.grad
    torch.testing.assert_close(fast.input_grad, plain.input_grad)
    torch.testing.assert_close(fast.weight.grad, plain.weight.grad)


def test_frozen_weights_get_no_gradient_and_the_same_call_the_same_bits() -> None:
    fast = replaced(nn.Linear(16, 8)).requires_grad_(False)
    values = torch.randn(300, 16, requires_grad=True)
    fast(values).sum().backward()
    first, values.grad = values.grad, None
    fast(values).sum().backward()
    assert torch.equal(values.grad, first) and fast.weight.grad is None


def test_other_types_and_other_layers_are_left_to_torch() -> None:
    class Own(nn.Linear):
        pass

    use_onednn(model := nn.Sequential(nn.Linear(4, 4), Own(4, 4)))
    assert [type(module) for module in model] == [OneDnnLinear, Own]
    assert model.double()(torch.ones(2, 4, dtype=torch.float64)).dtype == torch.float64
    assert sorted(model.state_dict()) == ["0.bias", "0.weight", "1.bias", "1.weight"]
