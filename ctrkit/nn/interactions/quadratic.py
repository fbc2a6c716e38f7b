"""Quadratic neurons. Li et al., QNN-alpha, arXiv:2505.17999."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from ctrkit.nn.perceptron import Dropout, Norm, affine, normalisation
from ctrkit.registry import Range, interaction


@interaction("quadratic", paper="arXiv:2505.17999")
class Quadratic(nn.Module):
    """QNN-alpha's layers ``x <- x + sum over rows r of x * ReLU(W_r x + b_r)``.

    The ReLU is inside the product, never after it. With ``norm = "none"`` a zero field stays
    zero.

    Shape:
        ``(B, F, D)`` -> ``(B, F * D)``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        layers: Annotated[int, Range(1, 8, search=(1, 4))] = 3,
        rows: Annotated[int, Range(1, 16, search=(1, 4))] = 2,
        dropout: Dropout = 0.0,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            QuadraticLayer(fields, dim, rows, dropout, norm) for _ in range(layers)
        )
        self.out_dim = fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1)  # (B, F * D)


class QuadraticLayer(nn.Module):
    """One layer; dropout acts on the gates and on the output.

    Shape:
        ``(B, F, D)`` -> ``(B, F, D)``.
    """

    def __init__(self, fields: int, dim: int, rows: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        width = fields * dim
        self.affine = affine(width, width * rows)
        self.norm = normalisation(norm, width * rows)
        self.dropout = nn.Dropout(dropout)
        self.shape = (fields, rows, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the input by the sum of its gates."""
        gates = self.dropout(self.norm(self.affine(x.flatten(1))).relu())  # (B, F * R * D)
        total = gates.view(-1, *self.shape).sum(dim=2)  # (B, F, D)
        out: Tensor = self.dropout(x + x * total)
        return out
