"""xDeepFM's compressed interaction network: by loops, by hand, its degree."""

from __future__ import annotations

import pytest
import torch

from ctrkit.nn.interactions.cin import CIN

B, F, D = 4, 3, 2


@pytest.mark.parametrize("bias", [False, True])
def test_equals_the_loops_of_equation_6(bias):
    layer = CIN(F, D, maps=(4, 5), bias=bias)
    for parameter in layer.biases:
        torch.nn.init.normal_(parameter)
    x = torch.randn(B, F, D)
    expected = []
    for row in x:
        maps, pooled = row, []
        for number, weight in enumerate(layer.weights):
            products = [
                [sum(w[i, j] * maps[i] * row[j] for i in range(len(maps)) for j in range(F))]
                for w in weight
            ]
            maps = torch.stack([p[0] for p in products])
            if bias:
                maps = maps + layer.biases[number].unsqueeze(1)
            pooled.append(maps.sum(dim=1))
        expected.append(torch.cat(pooled))
    assert torch.allclose(layer(x), torch.stack(expected), atol=1e-5)


def test_one_map_by_hand():
    """W = ((0, 1), (2, 0)): e1 * e2 + 2 e2 * e1 = 3 (1 * 3, 2 * -1) = (9, -6), pooled 3."""
    layer = CIN(2, 2, maps=(1,))
    with torch.no_grad():
        layer.weights[0].copy_(torch.tensor([[[0.0, 1.0], [2.0, 0.0]]]))
    assert layer(torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])).tolist() == [[3.0]]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_degree_grows_by_one_per_layer(layers, degree):
    assert degree(CIN(F, D, maps=(4,) * layers), F, D) == layers + 1


def test_permuting_fields_and_weights_together_changes_nothing():
    layer = CIN(F, D, maps=(4, 4))
    x, order = torch.randn(B, F, D), torch.tensor([2, 0, 1])
    before = layer(x)
    with torch.no_grad():
        layer.weights[0].copy_(layer.weights[0][:, order][:, :, order])
        layer.weights[1].copy_(layer.weights[1][:, :, order])
    assert torch.allclose(layer(x[:, order]), before, atol=1e-5)


def test_without_layers_it_has_no_output():
    assert CIN(F, D, maps=())(torch.randn(B, F, D)).shape == (B, 0)
