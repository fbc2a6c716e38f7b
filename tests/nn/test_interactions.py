"""Interactions against brute force: the double loop that each one avoids."""

from __future__ import annotations

import math

import pytest
import torch

from ctrkit.nn.heads.mlp import MLPHead
from ctrkit.nn.heads.sum import SumHead
from ctrkit.nn.interactions.crossnet import CrossNet
from ctrkit.nn.interactions.flat import Flat
from ctrkit.nn.interactions.fm import FactorizationMachine
from ctrkit.nn.interactions.linear import Linear
from ctrkit.nn.interactions.mlp import MLP
from ctrkit.nn.interactions.products import Products
from ctrkit.nn.interactions.second_mlp import SecondMLP
from ctrkit.nn.interactions.value_vectors import ValueVectors

B, F, D = 5, 4, 3
PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_fm_is_the_sum_over_all_pairs():
    x = torch.randn(B, F, D)
    expected = torch.stack([sum(row[i] @ row[j] for i, j in PAIRS) for row in x])
    found = FactorizationMachine(F, D)(x)
    assert found.shape == (B, 1)
    assert torch.allclose(found[:, 0], expected, atol=1e-5)


def test_fm_of_one_field_is_zero():
    assert torch.allclose(
        FactorizationMachine(1, D)(torch.randn(B, 1, D)), torch.zeros(B, 1), atol=1e-6
    )


def test_products_are_the_pairs_in_lexicographic_order():
    x = torch.randn(B, F, D)
    expected = torch.stack([torch.stack([row[i] @ row[j] for i, j in PAIRS]) for row in x])
    assert torch.allclose(Products(F, D)(x), expected, atol=1e-5)


def test_crossnet_vector_form_by_hand():
    """x0 = (1, 2), w = (0.5, -1), b = (0.1, 0.2): x0 (w . x0) + b + x0 = (-0.4, -0.8)."""
    net = CrossNet(1, 2, layers=1, form="vector")
    with torch.no_grad():
        net.kernels[0].weight.copy_(torch.tensor([[0.5, -1.0]]))
        net.biases[0].copy_(torch.tensor([0.1, 0.2]))
    assert torch.allclose(net(torch.tensor([[[1.0, 2.0]]])), torch.tensor([[-0.4, -0.8]]))


def test_crossnet_matrix_form_by_loops():
    net = CrossNet(F, D, layers=3, form="matrix")
    x = torch.randn(B, F, D)
    for row, found in zip(x.flatten(1), net(x), strict=True):
        out = row
        for kernel, bias in zip(net.kernels, net.biases, strict=True):
            mixed = torch.stack([(kernel.weight[i] * out).sum() + bias[i] for i in range(F * D)])
            out = row * mixed + out
        assert torch.allclose(found, out, atol=1e-5)


def test_linear_sums_one_weight_per_value():
    layer = Linear(F)
    with torch.no_grad():
        layer.bias.fill_(0.5)
    assert layer(torch.ones(B, F, 1)).tolist() == [[F + 0.5]] * B
    assert Linear(F, bias=False).bias is None


def test_value_vectors_multiply_each_field_by_a_vector_of_its_value():
    x = torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    second = torch.tensor([[[0.5, 1.0, 9.0], [2.0, 4.0, 9.0]]])
    assert ValueVectors(2, 3)(x, second).tolist() == [[0.5 + 2 + 6 - 4]]
    assert ValueVectors(2, 1)(x, second[..., :1]).tolist() == [[0.5 + 6]]


def test_flat_and_an_mlp_without_layers():
    x = torch.randn(B, F, D)
    assert torch.equal(Flat(F, D)(x), x.reshape(B, F * D))
    assert MLP(F, D, hidden=()).out_dim == 0
    assert MLP(F, D, hidden=())(x).shape == (B, 0)


def test_sum_head_adds_scalars_and_projects_wider_branches():
    head = SumHead([1, 3])
    wide = torch.randn(B, 3)
    linear = head.linears[1]
    expected = 2.0 + wide @ linear.weight[0] + linear.bias
    assert torch.allclose(head([torch.full((B, 1), 2.0), wide]), expected)


def test_mlp_head_reads_the_concatenation():
    head = MLPHead([2, 3], hidden=())
    left, right = torch.randn(B, 2), torch.randn(B, 3)
    expected = torch.cat([left, right], dim=1) @ head.output.weight[0] + head.output.bias
    assert torch.allclose(head([left, right]), expected)


def test_crossnet_gated_form_by_hand():
    """x0 = (1, 2), W x0 + b = (3, -1), V x0 = (0, ln 3): x0 * (3, -1) * (1/2, 3/4) + x0."""
    net = CrossNet(1, 2, layers=1, form="gated")
    with torch.no_grad():
        net.kernels[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        net.biases[0].zero_()
        net.gates[0].weight.copy_(torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]))
    assert torch.allclose(net(torch.tensor([[[1.0, 2.0]]])), torch.tensor([[2.5, 0.5]]))


def test_crossnet_with_open_gates_is_half_the_matrix_form():
    gated, matrix = CrossNet(F, D, layers=1, form="gated"), CrossNet(F, D, layers=1)
    with torch.no_grad():
        gated.gates[0].weight.zero_()
        matrix.kernels[0].weight.copy_(gated.kernels[0].weight / 2)
        matrix.biases[0].copy_(gated.biases[0] / 2)
    x = torch.randn(B, F, D)
    assert torch.allclose(gated(x), matrix(x), atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("form", ["vector", "matrix"])
def test_the_degree_of_a_cross_network_is_its_depth_plus_one(form, layers, degree):
    assert degree(CrossNet(F, D, layers=layers, form=form), F, D) == layers + 1


def test_second_mlp_is_an_mlp_on_the_second_vectors():
    layer, plain = SecondMLP(F, 2, hidden=(5,)), MLP(F, 2, hidden=(5,))
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(B, F, 2)
    assert torch.equal(layer(x), plain(x))
    assert layer.reads == "second"
