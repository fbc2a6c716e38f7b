"""The sum of the branches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import affine
from ctrkit.registry import head


@head("sum")
class SumHead(nn.Module):
    """Add the branches; a branch wider than 1 gets its own linear layer, with a bias.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(affine(w, 1) if w > 1 else nn.Identity() for w in widths)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Add the branches' logits."""
        logits = [layer(x) for layer, x in zip(self.linears, branches, strict=True)]  # (B, 1)
        return torch.stack(logits).sum(dim=0).squeeze(-1)  # (B,)
