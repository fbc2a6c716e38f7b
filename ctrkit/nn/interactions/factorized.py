"""Factorized interaction blocks and the field gate. Zhu et al., FINAL, SIGIR 2023 (FinalNet)."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Dropout, Norm, affine, normalisation
from ctrkit.registry import interaction


@interaction("factorized", paper="Zhu et al., SIGIR 2023")
class Factorized(nn.Module):
    """FinalNet's block: each layer multiplies two halves of an affine map.

    The degree of the polynomial doubles with each layer, where a perceptron of the same cost has
    none; the normalisation keeps the products from drifting.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Dropout = 0.0,
        norm: Norm = "batch",
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.block = factorized_block(fields * dim, hidden, dropout, norm, activation)
        self.out_dim = hidden[-1] if hidden else fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        out: Tensor = self.block(x.flatten(1))  # (B, O)
        return out


@interaction("gated_factorized", paper="Zhu et al., SIGIR 2023")
class GatedFactorized(nn.Module):
    """FinalNet's block behind a field gate: it reads each field beside its gated copy.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Dropout = 0.0,
        norm: Norm = "batch",
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.gate = FieldGate(fields)
        self.block = factorized_block(2 * fields * dim, hidden, dropout, norm, activation)
        self.out_dim = hidden[-1] if hidden else 2 * fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Gate and apply the layers."""
        out: Tensor = self.block(self.gate(x).flatten(1))  # (B, O)
        return out


class FieldGate(nn.Module):
    """Each field beside its copy, multiplied by gates that are linear in all fields.

    The gates ``g = W e + b`` act along the fields, per entry of the embedding; they start at 1.

    Shape:
        ``(B, F, D)`` -> ``(B, F, 2 * D)``.
    """

    def __init__(self, fields: int) -> None:
        super().__init__()
        self.linear = nn.Linear(fields, fields)
        nn.init.zeros_(self.linear.weight)
        nn.init.ones_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the fields."""
        gates = self.linear(x.transpose(1, 2)).transpose(1, 2)  # (B, F, D)
        return torch.cat([x, x * gates], dim=2)  # (B, F, 2 * D)


class FactorizedLayer(nn.Module):
    """``h = W x + b`` in two halves h2, h1: ``[h2, h1 * h2]``, normalised, ReLU, dropout.

    Of an odd width the first half is the larger one.

    Shape:
        ``(B, width)`` -> ``(B, size)``.
    """

    def __init__(self, width: int, size: int, dropout: float, norm: Norm, activation: bool) -> None:
        super().__init__()
        self.affine = affine(width, size)
        self.halves = (size - size // 2, size // 2)
        self.norm = normalisation(norm, size)
        self.activation = nn.ReLU() if activation else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the halves."""
        second, first = self.affine(x).split(self.halves, dim=1)
        products = first * second[:, : self.halves[1]]
        out = torch.cat([second, products], dim=1)  # (B, size)
        dropped: Tensor = self.dropout(self.activation(self.norm(out)))
        return dropped


def factorized_block(
    width: int, hidden: tuple[int, ...], dropout: float, norm: Norm, activation: bool
) -> nn.Sequential:
    """Stack factorized layers.

    Args:
        width: Width of the input.
        hidden: Width of each layer.
        dropout: Share of the outputs dropped in training.
        norm: Normalisation of the products.
        activation: Whether a ReLU follows the normalisation.
    """
    widths = (width, *hidden)
    return nn.Sequential(
        *(
            FactorizedLayer(before, size, dropout, norm, activation)
            for before, size in zip(widths, hidden, strict=False)
        )
    )
