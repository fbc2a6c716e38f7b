"""QNN-alpha's layer: values by hand, degree, fields that are zero."""

from __future__ import annotations

import pytest
import torch

from ctrkit.nn.interactions.quadratic import Quadratic, QuadraticLayer


def test_a_layer_by_hand():
    """W x + b = (3, -1 | 2, 0.5): gates (3 + 0, 2 + 0.5), x = (1, -2): x + x * gates."""
    layer = QuadraticLayer(2, 1, 2, 0.0, "none")
    with torch.no_grad():
        layer.affine.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]]))
        layer.affine.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.5]))
    assert layer(torch.tensor([[[1.0], [-2.0]]])).tolist() == [[[4.0], [-7.0]]]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_degree_doubles_with_each_layer_while_gates_are_open(layers, degree, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "relu", lambda x: x)
    assert degree(Quadratic(3, 2, layers=layers), 3, 2) == 2**layers


def test_a_zero_field_stays_zero():
    x = torch.randn(5, 3, 4)
    x[:, 1] = 0
    assert torch.equal(Quadratic(3, 4)(x).view(5, 3, 4)[:, 1], torch.zeros(5, 4))


def test_permuting_fields_and_weights_together_permutes_the_output():
    layer = Quadratic(3, 2, layers=1)
    x, order = torch.randn(5, 3, 2), torch.tensor([2, 0, 1])
    before = layer(x).view(5, 3, 2)
    with torch.no_grad():
        affine = layer.layers[0].affine
        weight = affine.weight.view(3, 2 * 2, 3, 2)
        affine.weight.copy_(weight[order][:, :, order].reshape(12, 6))
        affine.bias.copy_(affine.bias.view(3, 4)[order].reshape(12))
    assert torch.allclose(layer(x[:, order]).view(5, 3, 2), before[:, order], atol=1e-5)
