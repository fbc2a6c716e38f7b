"""Multi-layer perceptron on the concatenated embeddings."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from torch import Tensor, nn

from ctrkit.registry import Choices, Range, interaction

Norm = Literal["none", "batch", "layer"]
HIDDEN = Choices((64,), (64, 64), (200,), (200, 200), (400,), (400, 400), (400, 400, 400))


def perceptron(width: int, hidden: tuple[int, ...], dropout: float, norm: Norm) -> nn.Sequential:
    """Stack affine -> normalisation -> ReLU -> dropout.

    Shape:
        ``(B, width)`` -> ``(B, hidden[-1])``.
    """
    norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    layers: list[nn.Module] = []
    for size in hidden:
        affine = nn.Linear(width, size)
        nn.init.xavier_normal_(affine.weight)
        nn.init.zeros_(affine.bias)
        layers.append(affine)
        if norm != "none":
            layers.append(norms[norm](size))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers)


@interaction("mlp")
class MLP(nn.Module):
    """Fully connected layers on the concatenated embeddings; ``hidden = []`` is no branch at all.

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
        return cast(Tensor, self.layers(x.flatten(1)))  # (B, O)
