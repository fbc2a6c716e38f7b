"""Fully connected layers, as the ``mlp`` interaction and the ``mlp`` head use them."""

from __future__ import annotations

from typing import Annotated, Literal

from torch import Tensor, nn
from torch.nn import functional

from ctrkit.registry import Choices, Range

Norm = Literal["none", "batch", "layer"]
Dropout = Annotated[float, Range(0.0, 0.9, search=(0.0, 0.6))]
HIDDEN = Choices((64,), (64, 64), (200,), (200, 200), (400,), (400, 400), (400, 400, 400))


def perceptron(width: int, hidden: tuple[int, ...], dropout: float, norm: Norm) -> nn.Sequential:
    """Stack affine -> normalisation -> ReLU -> dropout.

    Weights start at Xavier normal, biases at zero.

    Args:
        width: Width of the input.
        hidden: Width of each layer.
        dropout: Share of the outputs dropped in training; 0 adds no dropout layer.
        norm: Normalisation before the ReLU.

    Shape:
        ``(B, width)`` -> ``(B, hidden[-1])``.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(affine(width, size))
        if norm != "none":
            layers.append(normalisation(norm, size))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; a batch of one row, which has no variance, takes the running one."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(B, D)``."""
        if not self.training or len(x) > 1:
            return super().forward(x)
        return functional.batch_norm(  # (1, D)
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def normalisation(norm: Norm, size: int) -> nn.Module:
    """Return the normalisation of vectors of one size; ``none``: the identity."""
    if norm == "none":
        return nn.Identity()
    return BatchNorm(size) if norm == "batch" else nn.LayerNorm(size)


def affine(width: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with Xavier normal weights and zero biases."""
    layer = nn.Linear(width, outputs, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
