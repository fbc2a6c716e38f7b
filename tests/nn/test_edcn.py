"""EDCN's streams: values by hand, gates over the fields, the forms of the bridge."""

from __future__ import annotations

import math

import pytest
import torch

from ctrkit.nn.interactions.edcn import EDCN, FieldGates


def made(**options) -> EDCN:
    """Make one layer of two fields of width 1: w = (1, 2), b = (0.5, 0); W swaps, d = (0, 1)."""
    layer = EDCN(2, 1, layers=1, norm="none", **options)
    with torch.no_grad():
        layer.kernels[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.biases[0].copy_(torch.tensor([0.5, 0.0]))
        layer.deep[0].weight.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        layer.deep[0].bias.copy_(torch.tensor([0.0, 1.0]))
    return layer


X = torch.tensor([[[2.0], [-1.0]]])


def test_one_layer_by_hand():
    """w . x = 0: c = b + x = (2.5, -1), d = ReLU(-1, 3) = (0, 3), bridge (0, -3)."""
    out = made(regulation=False)(X)
    assert out.tolist() == [[2.5, 0.0, 0.0, -1.0, 3.0, -3.0]]  # per field: c, d, bridge


def test_the_published_form_has_no_residual():
    out = made(regulation=False, residual=False)(X)
    assert out.tolist() == [[0.5, 0.0, 0.0, 0.0, 3.0, 0.0]]


def test_the_sum_bridge():
    out = made(regulation=False, bridge="sum")(X)
    assert out.tolist() == [[2.5, 0.0, 2.5, -1.0, 3.0, 2.0]]


def test_gates_are_a_softmax_over_the_fields():
    gates = FieldGates(2, 3, 2.0, "none")
    with torch.no_grad():
        gates.cross.copy_(torch.tensor([[0.0], [2 * math.log(3)]]))
    cross, deep = gates(torch.ones(1, 6))
    assert torch.allclose(cross, torch.tensor([[0.25] * 3 + [0.75] * 3]))
    assert torch.allclose(deep, torch.full((1, 6), 0.5))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_next_layer_reads_the_bridge(layers):
    layer = EDCN(2, 3, layers=layers, norm="none")
    x = torch.randn(5, 2, 3)
    joined = start = None
    for number in range(layers):
        cross, deep = layer.gates[number](x.flatten(1) if joined is None else joined)
        start = cross if start is None else start
        along = (cross * layer.kernels[number].weight[0]).sum(dim=1, keepdim=True)
        cross = start * along + layer.biases[number] + cross
        deep = layer.deep[number](deep).relu()
        joined = cross * deep
    expected = torch.stack([s.view(5, 2, 3) for s in (cross, deep, joined)], dim=2)
    assert torch.allclose(layer(x), expected.flatten(1), atol=1e-6)
