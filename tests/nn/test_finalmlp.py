"""FinalMLP: the fusion by loops and by hand, gates that start at one."""

from __future__ import annotations

import math

import pytest
import torch

from ctrkit.errors import ConfigError
from ctrkit.nn.heads.bilinear_fusion import BilinearFusion
from ctrkit.nn.interactions.mlp import MLP
from ctrkit.nn.interactions.stream import FeatureGate, FirstStream


def test_the_fusion_by_hand():
    """w1 o1 + b1 = 5, w2 o2 + b2 = -1; two heads: 1 * 2 * 3 + 2 * -1 * (4 - 5) = 8."""
    head = BilinearFusion([2, 4], heads=2)
    with torch.no_grad():
        head.linears[0].weight.copy_(torch.tensor([[1.0, 2.0]]))
        head.linears[1].weight.copy_(torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
        head.linears[0].bias.fill_(0.0)
        head.linears[1].bias.fill_(-10.0)
        head.kernels[0].copy_(torch.tensor([[[2.0, 0.0]], [[-1.0, 1.0]]]))
    first, second = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 7.0, 4.0, 5.0]])
    assert head([first, second]).tolist() == [5.0 - 1.0 + 6.0 + 2.0]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_fusion_equals_loops(heads):
    head = BilinearFusion([4, 8], heads=heads)
    first, second = torch.randn(5, 4), torch.randn(5, 8)
    expected = head.linears[0](first)[:, 0] + head.linears[1](second)[:, 0]
    for h, kernel in enumerate(head.kernels[0]):
        left = first[:, h * (4 // heads) : (h + 1) * (4 // heads)]
        right = second[:, h * (8 // heads) : (h + 1) * (8 // heads)]
        expected = expected + ((left @ kernel) * right).sum(dim=1)
    assert torch.allclose(head([first, second]), expected, atol=1e-5)


def test_heads_that_do_not_divide_the_widths_are_reduced():
    assert BilinearFusion([6, 9], heads=12).kernels[0].shape == (3, 2, 3)
    assert len(BilinearFusion([4], heads=2).kernels) == 0
    assert len(BilinearFusion([4, 4, 2], heads=2).kernels) == 2


def test_a_gate_starts_at_one():
    gate = FeatureGate(3, 6, (4,))
    assert torch.equal(gate(torch.randn(4, 2, 3)), torch.ones(1, 6))
    stream, plain = FirstStream(2, 3, ["a", "b"], hidden=(5,)), MLP(2, 3, hidden=(5,))
    plain.layers.load_state_dict(stream.layers.state_dict())
    x = torch.randn(4, 2, 3)
    assert torch.equal(stream(x), plain(x))


def test_a_gate_by_hand():
    """c = 2, ReLU(1 * 2) = 2, logits (2 ln 3 / 2, 0): twice the sigmoid is (1.5, 1)."""
    gate = FeatureGate(1, 2, (1,))
    with torch.no_grad():
        gate.context.fill_(2.0)
        gate.layers[0].weight.fill_(1.0)
        gate.output.weight.copy_(torch.tensor([[math.log(3) / 2], [0.0]]))
    assert torch.allclose(gate(torch.zeros(1, 2, 1)), torch.tensor([[1.5, 1.0]]))


def test_a_gate_reads_the_fields_of_its_context():
    """c = e_2 = ln 3 at the second row, 0 at the first: twice the sigmoid is 1 and 1.5."""
    stream = FirstStream(3, 1, ["a", "b", "c"], hidden=(), gate_hidden=(), context=("c",))
    with torch.no_grad():
        stream.gate.output.weight.copy_(torch.tensor([[1.0], [0.0], [-1.0]]))
    x = torch.tensor([[[1.0], [2.0], [0.0]], [[1.0], [2.0], [math.log(3)]]])
    assert torch.allclose(stream.gate(x), torch.tensor([[1.0, 1.0, 1.0], [1.5, 1.0, 0.5]]))
    assert torch.allclose(stream(x), x.flatten(1) * stream.gate(x))


def test_an_unknown_field_of_a_context_is_one_line():
    with pytest.raises(ConfigError, match="no field 'usr'; did you mean 'user'"):
        FirstStream(2, 1, ["user", "item"], context=("usr",))
