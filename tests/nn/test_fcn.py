"""FCN's cross networks: values by hand, the degree of each form."""

from __future__ import annotations

import pytest
import torch

from ctrkit.nn.interactions.fcn import ExponentialCross, LinearCross, SelfMask


def set_mask(layer: SelfMask) -> None:
    """H = (x1 + x2, -x4) of two fields (x1, x2), (x3, x4); b = 0.5."""
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1.0]]))
        layer.bias.fill_(0.5)


X = torch.tensor([[[1.0, 2.0], [4.0, 1.0]]])


def test_a_self_mask_by_hand():
    """H = (3, -1), normalised (1, -1), mask (1, 0): per field (3, 3), (-1, 0), then b."""
    layer = SelfMask(2, 2)
    set_mask(layer)
    expected = torch.tensor([[[3.5, 3.5], [-0.5, 0.5]]])
    assert torch.allclose(layer(X), expected, atol=1e-4)


def test_both_forms_by_hand():
    """One layer is the same in both; in the second one the forms differ in the multiplicand."""
    exponential, linear = ExponentialCross(2, 2, layers=2), LinearCross(2, 2, layers=2)
    for layer in (*exponential.layers, *linear.layers):
        set_mask(layer)
    first = X * torch.tensor([[[3.5, 3.5], [-0.5, 0.5]]]) + X  # (4.5, 9, 2, 1.5)
    crossed = torch.tensor([[[14.0, 14.0], [-1.0, 0.5]]])  # H = (13.5, -1.5)
    assert torch.allclose(exponential(X), (first * crossed + first).flatten(1), atol=1e-3)
    assert torch.allclose(linear(X), (X * crossed + first).flatten(1), atol=1e-3)


def test_an_odd_width_has_the_larger_half_first():
    layer = SelfMask(2, 3)
    assert layer.linear.out_features == 4
    assert layer(torch.randn(5, 2, 3)).shape == (5, 2, 3)


def test_the_bias_starts_uniform_between_0_and_1():
    bias = SelfMask(20, 20).bias.detach()
    assert 0 <= float(bias.min()) < float(bias.max()) < 1
    assert float(bias.mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_degree_doubles_or_grows_by_one_without_the_mask(layers, degree):
    """The mask is piecewise; with dim 1 there is no masked half, and both are polynomials."""
    assert degree(ExponentialCross(3, 1, layers=layers), 3, 1) == 2**layers
    assert degree(LinearCross(3, 1, layers=layers), 3, 1) == layers + 1


def test_a_zero_field_stays_zero():
    x = torch.randn(5, 3, 4)
    x[:, 1] = 0
    for form in (ExponentialCross, LinearCross):
        assert torch.equal(form(3, 4)(x).view(5, 3, 4)[:, 1], torch.zeros(5, 4))
