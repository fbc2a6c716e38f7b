"""Multi-layer perceptron on the concatenated embeddings."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Norm, perceptron
from ctrkit.registry import Range, interaction


@interaction("mlp")
class MLP(nn.Module):
    """Fully connected layers on the concatenated embeddings; ``hidden = []`` gives no outputs.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Annotated[float, Range(0.0, 0.9, search=(0.0, 0.6))] = 0.0,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.layers = perceptron(fields * dim, hidden, dropout, norm)
        self.out_dim = hidden[-1] if hidden else 0

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        if not self.out_dim:
            return x.new_zeros(x.shape[0], 0)  # (B, 0)
        out: Tensor = self.layers(x.flatten(1))  # (B, O)
        return out
