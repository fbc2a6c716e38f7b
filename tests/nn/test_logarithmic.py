"""AFN's logarithmic neurons: values by hand, powers, the smallest entry."""

from __future__ import annotations

import torch

from ctrkit.nn.interactions.logarithmic import SMALLEST, Logarithmic


def made(weight: list, **options) -> Logarithmic:
    layer = Logarithmic(len(weight[0]), 1, neurons=len(weight), norm="none", hidden=(), **options)
    with torch.no_grad():
        layer.powers.weight.copy_(torch.tensor(weight))
    return layer


def test_neurons_by_hand():
    """e = (4, -3): 4^0.5 3^1 = 6 and 4^2 3^-1 = 16 / 3; the sign is lost."""
    layer = made([[0.5, 1.0], [2.0, -1.0]])
    assert torch.allclose(layer(torch.tensor([[[4.0], [-3.0]]])), torch.tensor([[6.0, 16 / 3]]))


def test_a_zero_entry_counts_as_the_smallest():
    layer = made([[1.0, 0.0], [0.0, 1.0]])
    found = layer(torch.tensor([[[0.0], [2.0]]]))
    assert torch.allclose(found, torch.tensor([[SMALLEST, 2.0]]))


def test_scaling_a_field_scales_a_neuron_by_its_power():
    layer = Logarithmic(3, 2, neurons=4, norm="none", hidden=())
    x = torch.rand(5, 3, 2) + 0.5
    scaled = x.clone()
    scaled[:, 1] *= 2
    ratio = (layer(scaled) / layer(x)).view(5, 4, 2)
    expected = (2 ** layer.powers.weight[:, 1]).view(1, 4, 1).expand(5, 4, 2)
    assert torch.allclose(ratio, expected, atol=1e-5)


def test_both_normalisations_are_per_field_and_per_neuron():
    layer = Logarithmic(3, 2, neurons=4, hidden=()).train()
    x = torch.rand(64, 3, 2) + 0.5
    out = layer(x).view(64, 4, 2)
    assert torch.allclose(out.mean(dim=(0, 2)), torch.zeros(4), atol=1e-5)
    assert (layer.norm_logs.num_features, layer.norm_products.num_features) == (3, 4)
