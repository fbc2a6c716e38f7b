"""A perceptron over all branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Norm, affine, perceptron
from ctrkit.registry import Range, head


@head("mlp")
class MLPHead(nn.Module):
    """Concatenate the branches and apply a perceptron; its parameters are in ``model.mlp``.

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
        self.output = affine(hidden[-1] if hidden else sum(widths), 1)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Concatenate and apply the layers."""
        x = torch.cat(list(branches), dim=1)  # (B, sum of O_i)
        logits: Tensor = self.output(self.layers(x))  # (B, 1)
        return logits.squeeze(-1)  # (B,)
