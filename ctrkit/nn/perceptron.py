"""Fully connected layers, as the ``mlp`` interaction and the ``mlp`` head use them."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ctrkit.registry import Choices

Norm = Literal["none", "batch", "layer"]
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
    norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(affine(width, size))
        if norm != "none":
            layers.append(norms[norm](size))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers)


def affine(width: int, outputs: int) -> nn.Linear:
    """Return a linear layer with Xavier normal weights and zero biases."""
    layer = nn.Linear(width, outputs)
    nn.init.xavier_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
