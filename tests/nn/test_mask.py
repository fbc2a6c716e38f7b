"""MaskNet's blocks: values by hand, normalisation of fields, what a mask of ones gives."""

from __future__ import annotations

import torch
from torch.nn import functional

from ctrkit.nn.interactions.mask import FieldNorm, MaskBlock, ParallelMask, SerialMask


def set_to(layer: torch.nn.Linear, weight: list, bias: list | None = None) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))


def test_a_block_by_hand():
    """E = (1, 2), W1 E + b1 = (3, -1) -> (3, 0); mask = (6, 1), h = (2, 5): W (12, 5) = (17, 7)."""
    block = MaskBlock(2, 2, 2, 1.0, 0.0, norm=False)
    set_to(block.mask[0], [[1.0, 1.0], [-1.0, 0.0]], [0.0, 0.0])
    set_to(block.mask[2], [[2.0, 9.0], [0.0, 9.0]], [0.0, 1.0])
    set_to(block.hidden, [[1.0, 1.0], [1.0, -1.0]])
    source, hidden = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 5.0]])
    assert block(source, hidden).tolist() == [[17.0, 7.0]]
    block.norm = torch.nn.LayerNorm(2)
    assert torch.allclose(block(source, hidden), torch.tensor([[1.0, 0.0]]), atol=1e-5)


def test_the_width_of_a_mask_is_the_published_rounding():
    layer = SerialMask(39, 10, hidden=(400, 400), ratio=0.2)
    assert [block.mask[0].out_features for block in layer.blocks] == [78, 80]
    assert MaskBlock(4, 4, 2, 0.01, 0.0, norm=True).mask[0].out_features == 1


def test_fields_are_normalised_each_on_its_own():
    x = torch.tensor([[[1.0, 3.0], [10.0, -10.0]]])
    norm = FieldNorm(2, 2)
    assert torch.allclose(norm(x), torch.tensor([[[-1.0, 1.0], [1.0, -1.0]]]), atol=1e-4)
    with torch.no_grad():
        norm.scale[1], norm.shift[1] = 2.0, 0.5
    assert torch.allclose(norm(x)[0, 1], torch.tensor([2.5, -1.5]), atol=1e-4)


def test_a_mask_of_ones_leaves_a_perceptron():
    layer = SerialMask(3, 2, hidden=(4, 5), norm=False, norm_fields=False)
    for block in layer.blocks:
        torch.nn.init.zeros_(block.mask[2].weight)
        torch.nn.init.ones_(block.mask[2].bias)
    x = torch.randn(6, 3, 2)
    expected = x.flatten(1)
    for block in layer.blocks:
        expected = functional.linear(expected, block.hidden.weight).relu()
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_parallel_blocks_read_the_embeddings_and_nothing_else():
    layer = ParallelMask(3, 2, blocks=2, block_dim=4, hidden=())
    x = torch.randn(6, 3, 2)
    source, masked = x.flatten(1), layer.norm_fields(x).flatten(1)
    left, right = (block(source, masked) for block in layer.blocks)
    assert torch.equal(layer(x), torch.cat([left, right], dim=1))
    assert layer.out_dim == 8
