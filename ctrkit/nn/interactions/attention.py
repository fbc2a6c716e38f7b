"""Multi-head self-attention over fields. Song et al., AutoInt, arXiv:1810.11921, eq. 5-8.

The paper's layer has no bias, no scaling, no normalisation: ReLU(multi-head(E) + W_Res E). The
authors' release adds bias and ReLU to every projection, scales by 1/sqrt(d') and normalises after
the ReLU; FuxiCTR projects the residual only where sizes differ. All are options here.

The disentangled form is that of DESTINE (Xu et al., CIKM 2021).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrkit.nn.perceptron import affine
from ctrkit.registry import Range, interaction

Residual = Literal["linear", "match", "none"]
Norm = Literal["none", "before_relu", "after_relu"]
Form = Literal["product", "disentangled"]


@interaction("attention", paper="arXiv:1810.11921; Xu et al., CIKM 2021")
class Attention(nn.Module):
    """AutoInt's stack of interacting layers; with no layers, the embeddings.

    Shape:
        ``(B, F, D)`` -> ``(B, F * H * d')``; maps ``(B, H, F, F)`` per layer.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        form: Form = "product",
        layers: Annotated[int, Range(0, 8, search=(1, 4))] = 3,
        heads: Annotated[int, Range(1, 16, search=(1, 4))] = 2,
        head_dim: Annotated[int, Range(1, 256, log=True, search=(8, 64))] = 32,
        residual: Residual = "linear",
        bias: bool = False,
        activation: bool = False,
        scale: bool = False,
        norm: Norm = "none",
        dropout: Annotated[float, Range(0.0, 0.9, search=(0.0, 0.6))] = 0.0,
    ) -> None:
        super().__init__()
        width = heads * head_dim
        sizes = [dim, *[width] * (layers - 1)] if layers else []
        self.layers = nn.ModuleList(
            InteractingLayer(
                size,
                heads,
                head_dim,
                form=form,
                residual=residual,
                bias=bias,
                activation=activation,
                scale=scale,
                norm=norm,
                dropout=dropout,
            )
            for size in sizes
        )
        self.out_dim = fields * (width if layers else dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        for layer in self.layers:
            x, _ = layer(x)  # (B, F, H * d')
        return x.flatten(1)  # (B, F * H * d')

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return each layer's attention before dropout; rows sum to 1."""
        maps = []
        for layer in self.layers:
            x, weights = layer(x)
            maps.append(weights)  # (B, H, F, F)
        return maps


class InteractingLayer(nn.Module):
    """One layer: all projections in one product, then softmax(QK^T) V and the residual.

    ``disentangled``: queries and keys are centred over the fields, a softmax of one unary weight
    per field is added to that of the products, and there is no ReLU unless ``norm`` asks for it.
    The weights returned are then half the sum of both softmaxes.

    Shape:
        ``(B, F, D_in)`` -> ``(B, F, H * d')`` and the weights ``(B, H, F, F)``.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        head_dim: int,
        *,
        form: Form = "product",
        residual: Residual,
        bias: bool,
        activation: bool,
        scale: bool,
        norm: Norm,
        dropout: float,
    ) -> None:
        super().__init__()
        width = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.identity = residual == "match" and size == width
        self.projected = residual != "none" and not self.identity
        self.activation = activation
        self.scale = 1 / math.sqrt(head_dim) if scale else 1.0
        self.norm, self.dropout = norm, dropout
        self.project = nn.Linear(size, width * (4 if self.projected else 3), bias=bias)
        for part in torch.split(self.project.weight, width):
            nn.init.xavier_uniform_(part)
        if bias:
            nn.init.zeros_(self.project.bias)
        self.unary = affine(size, heads, bias=bias) if form == "disentangled" else None
        self.layer_norm = nn.LayerNorm(width) if norm != "none" else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Let every field attend to every field."""
        projected = self.project(x)  # (B, F, 3 or 4 * H * d')
        if self.activation:
            projected = projected.relu()
        parts = projected.unflatten(-1, (-1, self.heads, self.head_dim))  # (B, F, 3 or 4, H, d')
        query, key, value, *rest = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, F, d')
        if self.unary is not None:
            query, key = (side - side.mean(dim=2, keepdim=True) for side in (query, key))
        weights = (query @ key.transpose(-1, -2) * self.scale).softmax(-1)  # (B, H, F, F)
        total = weights
        if self.unary is not None:
            unary = self.unary(x).softmax(dim=1).transpose(1, 2).unsqueeze(2)  # (B, H, 1, F)
            total = weights + unary
            weights = total / 2
        dropped = F.dropout(total, self.dropout, self.training)
        mixed = dropped @ value  # (B, H, F, d')
        if rest:
            mixed = mixed + rest[0]
        out = mixed.transpose(1, 2).flatten(2)  # (B, F, H * d')
        if self.identity:
            out = out + x
        return self._finish(out), weights

    def _finish(self, out: Tensor) -> Tensor:
        if self.layer_norm is None:
            return out.relu() if self.unary is None else out
        if self.norm == "before_relu":
            return torch.relu(self.layer_norm(out))
        return torch.as_tensor(self.layer_norm(out.relu()))
