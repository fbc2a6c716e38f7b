"""The embeddings themselves."""

from __future__ import annotations

from torch import Tensor, nn

from ctrkit.registry import interaction


@interaction("flat")
class Flat(nn.Module):
    """The embeddings, concatenated.

    Shape:
        ``(B, F, D)`` -> ``(B, F * D)``.
    """

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.out_dim = fields * dim

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate."""
        return x.flatten(1)  # (B, F * D)
