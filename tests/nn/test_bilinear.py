"""FiBiNET's pairs against loops over the pairs, and the squeeze network by hand."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from ctrkit.nn.interactions.bilinear import Bilinear, Squeeze

B, F, D = 4, 4, 3
PAIRS = list(combinations(range(F), 2))


def pair_vector(layer: Bilinear, row: torch.Tensor, number: int) -> torch.Tensor:
    i, j = PAIRS[number]
    if layer.form == "low_rank":
        return (row[i] @ layer.weight[i]) @ (row[j] @ layer.weight[j]).unsqueeze(1)
    weight = {
        "all": lambda: layer.weight,
        "each": lambda: layer.weight[i],
        "pair": lambda: layer.weight[number],
    }[layer.form]()
    return (row[i] @ weight) * row[j]


@pytest.mark.parametrize("form", ["low_rank", "all", "each", "pair"])
def test_equals_a_loop_over_the_pairs(form):
    layer = Bilinear(F, D, form=form, rank=5, squeeze=False)
    x = torch.randn(B, F, D)
    rows = [torch.cat([pair_vector(layer, row, p) for p in range(len(PAIRS))]) for row in x]
    assert torch.allclose(layer(x), torch.stack(rows), atol=1e-5)
    assert layer.out_dim == (6 if form == "low_rank" else 6 * D)


@pytest.mark.parametrize("form", ["low_rank", "all", "each", "pair"])
def test_pairs_of_weighted_fields_come_beside_those_of_the_fields(form):
    layer = Bilinear(F, D, form=form, rank=5)
    x = torch.randn(B, F, D)
    both = layer(x).view(B, len(PAIRS), -1)
    layer.squeeze, squeeze = None, layer.squeeze
    plain, weighted = layer(x), layer(x * squeeze(x))
    width = both.shape[2] // 2
    assert torch.equal(both[..., :width].flatten(1), plain)
    assert torch.equal(both[..., width:].flatten(1), weighted)


def test_the_squeeze_network_by_hand():
    """z = (2, -1): W1 (1, 1) gives 1, W2 (3, -2) gives (3, -2), ReLU (3, 0)."""
    squeeze = Squeeze(2, 2.0)
    with torch.no_grad():
        squeeze.inner.weight.copy_(torch.tensor([[1.0, 1.0]]))
        squeeze.outer.weight.copy_(torch.tensor([[3.0], [-2.0]]))
    x = torch.tensor([[[1.0, 3.0], [0.0, -2.0]]])
    assert squeeze(x).tolist() == [[[3.0], [0.0]]]


def test_the_full_rank_form_has_every_bilinear_pair():
    """With rank D and projections I and W, the inner product is e_i^T W e_j."""
    layer = Bilinear(2, D, form="low_rank", rank=D, squeeze=False)
    matrix = torch.randn(D, D)
    with torch.no_grad():
        layer.weight[0].copy_(torch.eye(D))
        layer.weight[1].copy_(matrix.T)
    x = torch.randn(B, 2, D)
    expected = torch.einsum("bi,ij,bj->b", x[:, 0], matrix, x[:, 1])
    assert torch.allclose(layer(x)[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("form", ["low_rank", "all"])
def test_the_degree_is_two(form, degree):
    assert degree(Bilinear(F, D, form=form, squeeze=False), F, D) == 2
