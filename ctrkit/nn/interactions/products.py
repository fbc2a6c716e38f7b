"""Inner products of all pairs. Qu et al., "Product-based Neural Networks", arXiv:1611.00144."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrkit.registry import interaction


@interaction("products", paper="arXiv:1611.00144")
class Products(nn.Module):
    """Inner product of each pair i < j, in lexicographic order.

    Shape:
        ``(B, F, D)`` -> ``(B, P)`` with P = F (F - 1) / 2.
    """

    left: Tensor
    right: Tensor

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        left, right = torch.triu_indices(fields, fields, offset=1)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.out_dim = fields * (fields - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Multiply all pairs at once."""
        gram = x @ x.transpose(1, 2)  # (B, F, F)
        return gram[:, self.left, self.right]  # (B, P)
