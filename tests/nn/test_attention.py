"""AutoInt's layer against hand-computed values and explicit loops (arXiv:1810.11921, eq. 5-8)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ctrkit.nn.interactions.attention import Attention, InteractingLayer

E = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])  # (1, 2, 2)


def layer(
    heads: int = 1,
    *,
    residual: str = "linear",
    scale: bool = False,
    res: float = 1.0,
    form: str = "product",
):
    """Make a layer of width 2 whose four matrices are the identity (the residual times ``res``)."""
    made = InteractingLayer(
        2,
        heads,
        2 // heads,
        form=form,
        residual=residual,
        bias=False,
        activation=False,
        scale=scale,
        norm="none",
        dropout=0.0,
    )
    parts = [torch.eye(2)] * 3 + ([res * torch.eye(2)] if residual == "linear" else [])
    with torch.no_grad():
        made.project.weight.copy_(torch.cat(parts))
    return made.eval()


def close(found: Tensor, expected: list) -> None:
    assert torch.allclose(found, torch.tensor(expected), atol=2e-6), found


def test_hand_computed_layer():
    out, weights = layer()(E)
    close(weights[0, 0], [[0.731059, 0.268941], [0.017986, 0.982014]])
    close(out[0], [[1.731059, 0.537883], [0.017986, 3.964028]])


def test_hand_computed_without_residual_and_with_scaling():
    close(layer(residual="none")(E)[0][0], [[0.731059, 0.537883], [0.017986, 1.964028]])
    weights = layer(scale=True)(E)[1]
    close(weights[0, 0], [[0.669762, 0.330238], [0.055807, 0.944193]])


def test_hand_computed_two_heads_and_a_negative_residual():
    close(layer(heads=2)(E)[0][0], [[1.731059, 1.0], [0.5, 3.964028]])
    close(layer(res=-1.0)(E)[0][0], [[0.0, 0.537883], [0.017986, 0.0]])


def test_hand_computed_logit():
    out, _ = layer()(E)
    logit = out.flatten() @ torch.tensor([0.1, -0.2, 0.3, 0.4]) + 0.05
    assert logit.item() == pytest.approx(1.706536, abs=1e-6)
    assert torch.sigmoid(logit).item() == pytest.approx(0.846386, abs=1e-6)


def test_no_query_means_uniform_attention():
    attention = Attention(5, 4, layers=1, heads=2, head_dim=3, residual="none")
    with torch.no_grad():
        attention.layers[0].project.weight[:6] = 0
    x = torch.randn(3, 5, 4)
    weights = attention.maps(x)[0]
    assert torch.equal(weights, torch.full_like(weights, 1 / 5))
    out = attention(x).view(3, 5, 6)
    assert torch.allclose(out, out[:, :1].expand_as(out), atol=1e-6)


def test_permuting_fields_permutes_the_output():
    attention = Attention(6, 4, layers=2, heads=2, head_dim=4)
    x = torch.randn(3, 6, 4)
    order = torch.randperm(6)
    out = attention(x).view(3, 6, 8)
    assert torch.allclose(attention(x[:, order]).view(3, 6, 8), out[:, order], atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": True, "bias": True, "activation": True, "norm": "after_relu"},
        {"residual": "match", "norm": "before_relu"},
        {"residual": "none"},
    ],
)
def test_equals_explicit_loops_forward_and_backward(options):
    """The fused projection and batched products against one field, one head at a time."""
    torch.manual_seed(0)
    fields, heads, size = 4, 2, 3
    width = heads * size
    attention = Attention(fields, width, layers=1, heads=heads, head_dim=size, **options)
    made = attention.layers[0]
    x = torch.randn(2, fields, width, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    fused = made(x)[0]
    plain = torch.stack([loops(made, y[b], fields, heads, size) for b in range(2)])
    assert torch.allclose(fused, plain, atol=1e-5)
    seed = torch.randn_like(fused)
    (fused * seed).sum().backward()
    (plain * seed).sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-5)


def loops(made: InteractingLayer, e: Tensor, fields: int, heads: int, size: int) -> Tensor:
    width = heads * size
    parts = list(made.project.weight.split(width))
    bias = made.project.bias
    biases = list(bias.split(width)) if bias is not None else [torch.zeros(width)] * len(parts)

    def projected(part: int, field: int) -> Tensor:
        value = parts[part] @ e[field] + biases[part]
        return value.relu() if made.activation else value

    rows = []
    for m in range(fields):
        mixed = []
        for h in range(heads):
            head = slice(h * size, (h + 1) * size)
            scores = [(projected(0, m)[head] @ projected(1, k)[head]) for k in range(fields)]
            scale = 1 / math.sqrt(size) if made.scale != 1.0 else 1.0
            alpha = (torch.stack(scores) * scale).softmax(0)
            mixed.append(sum(alpha[k] * projected(2, k)[head] for k in range(fields)))
        out = torch.cat(mixed)
        if len(parts) == 4:
            out = out + projected(3, m)
        elif made.identity:
            out = out + e[m]
        if made.norm == "before_relu":
            out = made.layer_norm(out).relu()
        else:
            out = out.relu()
            out = made.layer_norm(out) if made.norm == "after_relu" else out
        rows.append(out)
    return torch.stack(rows)


def test_maps_are_taken_before_dropout_and_rows_sum_to_one():
    attention = Attention(5, 4, layers=2, dropout=0.5)
    x = torch.randn(7, 5, 4)
    trained, judged = attention.train().maps(x)[0], attention.eval().maps(x)[0]
    assert torch.equal(trained, judged)
    assert torch.allclose(judged.sum(-1), torch.ones(7, 2, 5), atol=1e-6)
    assert not torch.equal(attention.train()(x), attention.eval()(x))


def test_no_layer_is_the_concatenation():
    x = torch.randn(3, 5, 4)
    attention = Attention(5, 4, layers=0)
    assert attention.out_dim == 20
    assert torch.equal(attention(x), x.flatten(1))


def test_disentangled_by_hand():
    """Centred by (0.5, 1): q = k = (0.5, -1), (-0.5, 1); the unary weights are equal."""
    made = layer(residual="none", form="disentangled")
    with torch.no_grad():
        made.unary.weight.zero_()
    out, weights = made(E)
    pair = torch.tensor([[1.25, -1.25], [-1.25, 1.25]]).softmax(1)
    close(weights[0, 0], ((pair + 0.5) / 2).tolist())
    close(out[0], ((pair + 0.5) @ E[0]).tolist())


def test_disentangled_adds_a_unary_softmax_and_no_relu():
    made = layer(res=-2.0, form="disentangled")
    with torch.no_grad():
        made.unary.weight.copy_(torch.tensor([[1.0, 0.5]]))  # (1, 1): equal after all
    equal = made(E)[0]
    with torch.no_grad():
        made.unary.weight.copy_(torch.tensor([[math.log(3), 0.0]]))  # (ln 3, 0): (3/4, 1/4)
    shifted = made(E)[0]
    close((shifted - equal)[0], [[0.25, -0.5], [0.25, -0.5]])
    assert bool((shifted < 0).any())


def test_disentangled_weights_ignore_what_all_fields_share():
    attention = Attention(4, 6, layers=1, heads=2, head_dim=3, form="disentangled")
    x, shift = torch.randn(3, 4, 6), torch.randn(3, 1, 6)
    before, after = attention.maps(x)[0], attention.maps(x + shift)[0]
    assert torch.allclose(before, after, atol=1e-5)
    assert torch.allclose(before.sum(-1), torch.ones(3, 2, 4))
