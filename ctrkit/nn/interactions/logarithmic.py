"""Products of learned powers of the embeddings. Cheng et al., AFN, arXiv:1909.03276."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Dropout, Norm, affine, normalisation, perceptron
from ctrkit.registry import Range, interaction

SMALLEST = 1e-5
"""Entries of the embeddings count as at least this large."""


@interaction("logarithmic", paper="arXiv:1909.03276")
class Logarithmic(nn.Module):
    """AFN's logarithmic neurons ``exp(sum over f of w_nf ln|e_f|)``, under a perceptron.

    A neuron is the product of all fields, each to a learned power.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        neurons: Annotated[int, Range(1, 8192, log=True, search=(50, 1000))] = 200,
        norm: Literal["none", "batch"] = "batch",
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400,),
        hidden_norm: Norm = "batch",
        dropout: Dropout = 0.0,
    ) -> None:
        """Set up the neurons.

        Args:
            fields: F.
            dim: Width D.
            neurons: Number N of neurons.
            norm: Normalisation of the logarithms, per field, and of the products, per neuron.
            hidden: Widths of the perceptron; none: the products.
            hidden_norm: Normalisation before each ReLU of the perceptron.
            dropout: Share of the perceptron's outputs dropped in training.
        """
        super().__init__()
        self.norm_logs = normalisation(norm, fields)
        self.powers = affine(fields, neurons, bias=False)
        self.norm_products = normalisation(norm, neurons)
        self.layers = perceptron(neurons * dim, hidden, dropout, hidden_norm)
        self.out_dim = hidden[-1] if hidden else neurons * dim

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the powers and apply the perceptron."""
        logs = self.norm_logs(x.abs().clamp(min=SMALLEST).log())  # (B, F, D)
        products = self.powers(logs.transpose(1, 2)).exp().transpose(1, 2)  # (B, N, D)
        out: Tensor = self.layers(self.norm_products(products).flatten(1))  # (B, O)
        return out
