"""Factorization machine, second order. Rendle, ICDM 2010, equation 1 and lemma 3.1."""

from __future__ import annotations

from torch import Tensor, nn

from ctrkit.registry import interaction


@interaction("fm", paper="Rendle, ICDM 2010")
class FactorizationMachine(nn.Module):
    """Sum over pairs i < j of <e_i, e_j>, in O(F D): ((sum e)^2 - sum e^2) / 2.

    Shape:
        ``(B, F, D)`` -> ``(B, 1)``.
    """

    out_dim = 1

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Sum the inner products of all pairs."""
        squares = x.sum(dim=1).square() - x.square().sum(dim=1)  # (B, D)
        return 0.5 * squares.sum(dim=1, keepdim=True)  # (B, 1)
