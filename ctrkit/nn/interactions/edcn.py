"""A cross and a deep network that exchange information at every layer. Chen et al., CIKM 2021."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import Dropout, affine, normalisation
from ctrkit.registry import Range, interaction

Bridge = Literal["product", "sum"]


@interaction("edcn", paper="Chen et al., CIKM 2021")
class EDCN(nn.Module):
    """EDCN's two streams, joined by a bridge and separated by field gates at every layer.

    Shape:
        ``(B, F, D)`` -> ``(B, 3 * F * D)``: per field, the cross stream, the deep stream and the
        last bridge.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        layers: Annotated[int, Range(1, 8, search=(1, 4))] = 3,
        bridge: Bridge = "product",
        regulation: bool = True,
        temperature: Annotated[float, Range(0.1, 100.0, log=True, search=(1.0, 30.0))] = 1.0,
        residual: bool = True,
        dropout: Dropout = 0.0,
        norm: Literal["none", "batch"] = "batch",
    ) -> None:
        """Set up the layers.

        Args:
            fields: F.
            dim: Width D.
            layers: Number L of layers.
            bridge: How the streams are joined.
            regulation: Whether field gates separate the streams.
            temperature: Temperature of the gates' softmax over the fields.
            residual: Whether a cross layer adds its input, as in DCN.
            dropout: Share of the deep stream dropped in training.
            norm: Normalisation of the gated fields.
        """
        super().__init__()
        width = fields * dim
        self.bridge, self.residual = bridge, residual
        self.gates = nn.ModuleList(
            FieldGates(fields, dim, temperature if regulation else None, norm)
            for _ in range(layers)
        )
        self.kernels = nn.ModuleList(affine(width, 1, bias=False) for _ in range(layers))
        self.biases = nn.ParameterList(torch.zeros(width) for _ in range(layers))
        self.deep = nn.ModuleList(affine(width, width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.out_dim = 3 * width

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        joined = x.flatten(1)  # (B, F * D)
        start: Tensor | None = None
        parts = zip(self.gates, self.kernels, self.biases, self.deep, strict=True)
        for gates, kernel, bias, layer in parts:
            cross, deep = gates(joined)
            start = cross if start is None else start
            crossed = start * kernel(cross) + bias  # (B, F * D)
            cross = crossed + cross if self.residual else crossed
            deep = self.dropout(layer(deep).relu())
            joined = cross * deep if self.bridge == "product" else cross + deep
        streams = [stream.view_as(x) for stream in (cross, deep, joined)]  # (B, F, D)
        return torch.cat(streams, dim=2).flatten(1)  # (B, 3 * F * D)


class FieldGates(nn.Module):
    """EDCN's regulation: each stream gets the fields times its own softmax over the fields.

    Shape:
        ``(B, F * D)`` -> twice ``(B, F * D)``.
    """

    def __init__(
        self, fields: int, dim: int, temperature: float | None, norm: Literal["none", "batch"]
    ) -> None:
        """Set up the gates.

        Args:
            fields: F.
            dim: Width D.
            temperature: Temperature of the softmax; None: no gates, only the normalisation.
            norm: Normalisation of the gated fields.
        """
        super().__init__()
        self.dim, self.temperature = dim, temperature
        if temperature is not None:
            self.cross = nn.Parameter(torch.ones(fields, 1))
            self.deep = nn.Parameter(torch.ones(fields, 1))
        self.norm_cross = normalisation(norm, fields * dim)
        self.norm_deep = normalisation(norm, fields * dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gate the fields, once for each stream."""
        cross = deep = x
        if self.temperature is not None:
            values = x.view(-1, len(self.cross), self.dim)  # (B, F, D)
            cross = (values * (self.cross / self.temperature).softmax(dim=0)).flatten(1)
            deep = (values * (self.deep / self.temperature).softmax(dim=0)).flatten(1)
        return self.norm_cross(cross), self.norm_deep(deep)
