"""The faster linear layer: the same numbers as torch's, forward and backward, and torch's own way wherever it must."""

import pytest
import torch
import torch.nn.functional as F

from mousefacelift.core.linear import Linear, has_wide_products, product


@pytest.mark.parametrize("shape", [(5,), (1, 7), (3, 178), (2, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_float64(shape, bias):
    torch.manual_seed(0)
    layer = Linear(24, 40, bias=bias)
    x = torch.randn(*shape, 24, requires_grad=True)
    weight = torch.randn(*shape, 40)
    (layer(x) * weight).sum().backward()
    exact = x.detach().double().requires_grad_()
    leaves = {name: value.detach().double().requires_grad_() for name, value in layer.named_parameters()}
    (F.linear(exact, leaves["weight"], leaves.get("bias")) * weight.double()).sum().backward()
    pairs = [(x.grad, exact.grad)] + [(value.grad, leaves[name].grad) for name, value in layer.named_parameters()]
    for got, want in pairs:
        torch.testing.assert_close(got.double(), want, rtol=0, atol=3e-6 * float(want.abs().max()))


def test_gradients_that_arrive_turned_or_spread_are_read_right():
    """A sum hands back an expanded gradient, a transposition a strided one."""
    torch.manual_seed(0)
    layer, plain = Linear(8, 6), torch.nn.Linear(8, 6)
    plain.load_state_dict(layer.state_dict())
    for reduce in (lambda y: y.sum(), lambda y: (y.transpose(0, 1).contiguous() ** 2).sum(), lambda y: y[:, 0].sum()):
        x = torch.randn(5, 4, 8, requires_grad=True)
        (got,) = torch.autograd.grad(reduce(layer(x)), x)
        (want,) = torch.autograd.grad(reduce(plain(x)), x)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_frozen_weights_get_no_gradient_and_pass_it_on():
    layer = Linear(8, 6).requires_grad_(False)
    x = torch.randn(3, 8, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None and layer.bias.grad is None
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(3, -1))


def test_half_precision_and_nothing_go_torchs_way():
    layer = Linear(8, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(3, 8)).dtype == torch.bfloat16
    assert layer(torch.randn(0, 8)).shape == (0, 6)
    assert layer.double()(torch.randn(3, 8).double()).dtype == torch.float64
    assert layer.bfloat16()(torch.randn(3, 8).bfloat16()).dtype == torch.bfloat16


@pytest.mark.skipif(not has_wide_products(), reason="needs a CPU with AVX-512 and torch with oneDNN")
def test_a_layer_takes_the_wide_product_where_there_is_one():
    layer, x = Linear(33, 17), torch.randn(5, 33)
    assert torch.equal(layer(x), product(x, layer.weight, layer.bias))
    assert layer(x).grad_fn.name() == "_ProductBackward"
