"""From the branches' outputs to logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

import torch
from torch import Tensor, nn

from ctrkit.nn.interactions.mlp import HIDDEN, Norm, perceptron
from ctrkit.registry import Range, head


@head("sum")
class SumHead(nn.Module):
    """Adds the branches; a branch wider than 1 gets a linear layer with bias of its own.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(_affine(w) if w > 1 else nn.Identity() for w in widths)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Add the branches' logits."""
        logits = [layer(x) for layer, x in zip(self.linears, branches, strict=True)]  # (B, 1)
        return torch.stack(logits).sum(dim=0).squeeze(-1)  # (B,)


@head("mlp")
class MLPHead(nn.Module):
    """A perceptron over the concatenated branches; parameters stand under ``model.mlp``.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Annotated[float, Range(0.0, 0.9, search=(0.0, 0.6))] = 0.0,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.layers = perceptron(sum(widths), hidden, dropout, norm)
        self.output = _affine(hidden[-1] if hidden else sum(widths))

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Concatenate and apply the layers."""
        x = torch.cat(list(branches), dim=1)  # (B, sum of O_i)
        return cast(Tensor, self.output(self.layers(x))).squeeze(-1)  # (B,)


def _affine(width: int) -> nn.Linear:
    layer = nn.Linear(width, 1)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
