"""Exponential and self-masked linear cross networks. Li et al., FCN, arXiv:2407.13349."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import Dropout, affine
from ctrkit.registry import Range, interaction

Layers = Annotated[int, Range(1, 8, search=(1, 5))]


@interaction("exponential_cross", paper="arXiv:2407.13349")
class ExponentialCross(nn.Module):
    """FCN's deep branch: each layer crosses its input with itself, so the degree doubles.

    Shape:
        ``(B, F, D)`` -> ``(B, F * D)``.
    """

    def __init__(
        self, fields: int, dim: int, *, layers: Layers = 3, dropout: Dropout = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SelfMask(fields, dim) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.out_dim = fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Cross layer by layer: ``x <- x * c(x) + x``."""
        for layer in self.layers:
            x = self.dropout(x * layer(x) + x)
        return x.flatten(1)  # (B, F * D)


@interaction("linear_cross", paper="arXiv:2407.13349")
class LinearCross(nn.Module):
    """FCN's shallow branch: each layer crosses its input with the embeddings.

    Shape:
        ``(B, F, D)`` -> ``(B, F * D)``.
    """

    def __init__(
        self, fields: int, dim: int, *, layers: Layers = 3, dropout: Dropout = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SelfMask(fields, dim) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.out_dim = fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Cross layer by layer: ``x <- x_0 * c(x) + x``."""
        start = x
        for layer in self.layers:
            x = self.dropout(start * layer(x) + x)
        return x.flatten(1)  # (B, F * D)


class SelfMask(nn.Module):
    """``c(x) = [H, H * ReLU(LN(H))] + b`` with ``H = W x``: half as many rows as a square matrix.

    H has the first half of the entries of each field, its masked copy the rest; of an odd width
    the first half is the larger one. b starts uniform in [0, 1).

    Shape:
        ``(B, F, D)`` -> ``(B, F, D)``.
    """

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.fields, self.rest = fields, dim // 2
        half = fields * (dim - self.rest)
        self.linear = affine(fields * dim, half, bias=False)
        self.norm = nn.LayerNorm(half)
        self.bias = nn.Parameter(torch.rand(fields, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the input is crossed with."""
        crossed = self.linear(x.flatten(1))  # (B, F * half)
        masked = crossed * self.norm(crossed).relu()
        halves = (crossed.unflatten(1, (self.fields, -1)), masked.unflatten(1, (self.fields, -1)))
        return torch.cat([halves[0], halves[1][..., : self.rest]], dim=2) + self.bias  # (B, F, D)
