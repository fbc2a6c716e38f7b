"""WuKong's layer: its blocks by hand and by equation, the residual where counts differ."""

from __future__ import annotations

import torch
from torch.nn import functional

from ctrkit.nn.interactions.wukong import WuKong, WuKongLayer


def test_a_layer_follows_the_equations():
    layer = WuKongLayer(3, 2, products=2, linear=1, rank=4, hidden=(5,), dropout=0.0)
    x = torch.randn(6, 3, 2)
    for row, found in zip(x, layer(x), strict=True):
        gram = row @ (row.T @ layer.rank.weight.T)  # X X^T Y
        normal = functional.layer_norm(gram.flatten(), (12,))
        made = layer.output(layer.perceptron(normal.unsqueeze(0))).view(2, 2)
        compressed = layer.compress.weight @ row
        total = torch.cat([made, compressed]) + row
        assert torch.allclose(found, functional.layer_norm(total, (2,)), atol=1e-5)


def test_the_product_block_by_hand():
    """X = ((1, 2), (3, -1)): X X^T = ((5, 1), (1, 10)), times Y = (1, -1): (4, -9)."""
    layer = WuKongLayer(2, 2, products=1, linear=1, rank=1, hidden=(), dropout=0.0)
    seen = []
    layer.norm_products.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    with torch.no_grad():
        layer.rank.weight.copy_(torch.tensor([[1.0, -1.0]]))
    layer(torch.tensor([[[1.0, 2.0], [3.0, -1.0]]]))
    assert seen[0].tolist() == [[4.0, -9.0]]


def test_the_residual_is_projected_where_the_counts_differ():
    net = WuKong(5, 2, layers=2, products=2, linear=1)
    assert net.layers[0].residual.weight.shape == (3, 5)
    assert net.layers[1].residual is None
    assert net(torch.randn(4, 5, 2)).shape == (4, net.out_dim) == (4, 6)
