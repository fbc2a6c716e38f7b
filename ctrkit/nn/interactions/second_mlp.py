"""Perceptron on embeddings of its own."""

from __future__ import annotations

from typing import Annotated

from ctrkit.nn.interactions.mlp import MLP
from ctrkit.nn.perceptron import HIDDEN, Dropout, Norm
from ctrkit.registry import interaction


@interaction("second_mlp", paper="arXiv:1909.03276")
class SecondMLP(MLP):
    """Fully connected layers on the second embeddings, which no other branch need share.

    Shape:
        second vectors ``(B, F, D2)`` -> ``(B, hidden[-1])``.
    """

    reads = "second"

    def __init__(
        self,
        fields: int,
        second_dim: int,
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Dropout = 0.0,
        norm: Norm = "none",
    ) -> None:
        super().__init__(fields, second_dim, hidden=hidden, dropout=dropout, norm=norm)
