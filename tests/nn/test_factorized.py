"""FinalNet's block and field gate: values by hand, degree, permutation of the fields."""

from __future__ import annotations

import pytest
import torch

from ctrkit.nn.interactions.factorized import (
    Factorized,
    FactorizedLayer,
    FieldGate,
    GatedFactorized,
)


def test_a_layer_by_hand():
    """h = (1, -2, 3, 0.5): h2 = (1, -2), h1 = (3, 0.5): (1, -2, 3, -1), then the ReLU."""
    layer = FactorizedLayer(2, 4, 0.0, "none", activation=True)
    with torch.no_grad():
        layer.affine.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 1.0], [0.0, 0.0]]))
        layer.affine.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.5]))
    assert layer(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 0.0, 3.0, 0.0]]


def test_the_first_half_of_an_odd_width_is_larger():
    layer = FactorizedLayer(1, 3, 0.0, "none", activation=False)
    with torch.no_grad():
        layer.affine.weight.copy_(torch.tensor([[2.0], [3.0], [5.0]]))
    assert layer(torch.tensor([[1.0]])).tolist() == [[2.0, 3.0, 10.0]]


def test_the_field_gate_by_hand():
    """g_f = sum over k of W_fk e_k + b_f, for each entry of the embedding."""
    gate = FieldGate(2)
    with torch.no_grad():
        gate.linear.weight.copy_(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
        gate.linear.bias.copy_(torch.tensor([0.5, -1.0]))
    x = torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    expected = [[[1.0, 2.0, 3.5, -1.0], [3.0, -1.0, 3.0, -3.0]]]
    assert gate(x).tolist() == expected


def test_the_field_gate_starts_as_two_copies():
    x = torch.randn(5, 3, 4)
    assert torch.equal(FieldGate(3)(x), torch.cat([x, x], dim=2))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_degree_doubles_with_each_layer(layers, degree):
    options = {"hidden": (6,) * layers, "norm": "none", "activation": False}
    assert degree(Factorized(3, 2, **options), 3, 2) == 2**layers


def test_the_gate_doubles_the_degree_once_more(degree):
    layer = GatedFactorized(3, 2, hidden=(6,), norm="none", activation=False)
    assert degree(layer, 3, 2) == 4


def test_permuting_fields_and_weights_together_changes_nothing():
    layer = GatedFactorized(4, 3, hidden=(6,)).eval()
    torch.nn.init.normal_(layer.gate.linear.weight)
    x, order = torch.randn(5, 4, 3), torch.tensor([2, 0, 3, 1])
    before = layer(x)
    with torch.no_grad():
        linear, affine = layer.gate.linear, layer.block[0].affine
        linear.weight.copy_(linear.weight[order][:, order])
        affine.weight.copy_(affine.weight.view(6, 4, 6)[:, order].reshape(6, 24))
    assert torch.allclose(layer(x[:, order]), before, atol=1e-5)
