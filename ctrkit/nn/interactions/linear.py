"""First-order term: the sum of one weight per value."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrkit.registry import interaction


@interaction("linear")
class Linear(nn.Module):
    """Sum of one weight per value, plus a bias.

    Shape:
        weights ``(B, F, 1)`` -> ``(B, 1)``.
    """

    reads = "weights"
    out_dim = 1

    def __init__(self, fields: int, *, bias: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Sum over the fields."""
        total = x.sum(dim=1)  # (B, 1)
        return total if self.bias is None else total + self.bias
