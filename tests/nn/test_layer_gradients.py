"""Gradients of every interaction layer and head, compared with finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ctrkit.nn.branches import describe_branch
from ctrkit.registry import facts_of, registry

F, D = 3, 4
FACTS = {"fields": F, "dim": D, "second_dim": D, "pairs": [(0, 1), (0, 2), (1, 2)], "ops": []}
FACTS["names"] = ["a", "b", "c"]
SMALL = {
    "hidden": (4, 4),
    "gate_hidden": (4,),
    "maps": (3, 3),
    "neurons": 3,
    "block_dim": 3,
    "blocks": 2,
    "layers": 2,
    "head_dim": 2,
    "tokens": 2,
    "products": 2,
    "linear": 2,
    "rank": 2,
}
INPUTS = {"fields": (5, F, D), "weights": (5, F, 1), "second": (5, F, D)}


def made(kind: str, name: str, facts: dict) -> nn.Module:
    """Make a component in float64, without dropout, away from zeros that hide a parameter."""
    cls = registry.get(kind, name)
    options = registry.parameters(kind, name).model_fields
    small = {k: v for k, v in SMALL.items() if k in options}
    torch.manual_seed(0)
    layer = cls(*(facts[fact] for fact in facts_of(cls)), **small).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def agrees(layer: nn.Module, inputs: list[Tensor], *, listed: bool) -> bool:
    parameters = dict(layer.named_parameters())

    def call(*values: Tensor) -> Tensor:
        weights = dict(zip(parameters, values[len(inputs) :], strict=True))
        given = (list(values[: len(inputs)]),) if listed else values[: len(inputs)]
        return torch.func.functional_call(layer, weights, tuple(given))

    leaves = [*inputs, *parameters.values()]
    return torch.autograd.gradcheck(call, [v.detach().requires_grad_() for v in leaves])


@pytest.mark.parametrize("name", [n for n in registry.names("interaction") if n != "pairs"])
def test_gradients_of_an_interaction_are_finite_differences(name):
    layer = made("interaction", name, FACTS)
    draw = torch.Generator().manual_seed(1)
    reads = describe_branch(name, layer).reads
    inputs = [torch.randn(INPUTS[r], generator=draw, dtype=torch.float64) for r in reads]
    assert agrees(layer.train(), inputs, listed=False)
    assert agrees(layer.eval(), inputs, listed=False)


@pytest.mark.parametrize("name", registry.names("head"))
def test_gradients_of_a_head_are_finite_differences(name):
    layer = made("head", name, {"widths": [4, 8]})
    draw = torch.Generator().manual_seed(1)
    inputs = [torch.randn(5, width, generator=draw, dtype=torch.float64) for width in (4, 8)]
    assert agrees(layer, inputs, listed=True)
