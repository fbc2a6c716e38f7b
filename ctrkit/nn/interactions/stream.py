"""Streams of FinalMLP: a feature gate, then a perceptron. Mao et al., arXiv:2304.00902."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Dropout, Norm, affine, perceptron
from ctrkit.registry import interaction


class Stream(nn.Module):
    """One of FinalMLP's two streams.

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
        norm: Norm = "none",
        gate: bool = True,
        gate_hidden: Annotated[tuple[int, ...], HIDDEN] = (64,),
    ) -> None:
        """Set up the stream.

        Args:
            fields: F.
            dim: Width D.
            hidden: Widths of the perceptron.
            dropout: Share of the perceptron's outputs dropped in training.
            norm: Normalisation before each ReLU of the perceptron.
            gate: Whether the stream weighs its inputs.
            gate_hidden: Widths of the gate's perceptron.
        """
        super().__init__()
        width = fields * dim
        self.gate = FeatureGate(dim, width, gate_hidden) if gate else None
        self.layers = perceptron(width, hidden, dropout, norm)
        self.out_dim = hidden[-1] if hidden else width

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the embeddings' entries and apply the perceptron."""
        flat = x.flatten(1)  # (B, F * D)
        out: Tensor = self.layers(flat if self.gate is None else flat * self.gate())  # (B, O)
        return out


@interaction("stream1", paper="arXiv:2304.00902")
class FirstStream(Stream):
    """FinalMLP's first stream: a feature gate, then a perceptron."""


@interaction("stream2", paper="arXiv:2304.00902")
class SecondStream(Stream):
    """FinalMLP's second stream, with hyper-parameters of its own."""


class FeatureGate(nn.Module):
    """Weights of the embeddings' entries, ``2 sigmoid(MLP(c))`` of a learned vector c.

    They are the same for every row. c starts at zero and so, with the biases, do the logits: the
    weights start at 1.

    Shape:
        -> ``(1, width)``.
    """

    def __init__(self, dim: int, width: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.zeros(1, dim))
        self.layers = perceptron(dim, hidden, 0.0, "none")
        self.output = affine(hidden[-1] if hidden else dim, width)

    def forward(self) -> Tensor:
        """Return the weights."""
        logits: Tensor = self.output(self.layers(self.context))  # (1, width)
        return 2 * logits.sigmoid()
