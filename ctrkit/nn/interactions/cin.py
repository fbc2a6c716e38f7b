"""Compressed interaction network. Lian et al., xDeepFM, arXiv:1803.05170, eq. 6."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.registry import Choices, interaction

MAPS = Choices((16, 16), (32,), (64,), (64, 64), (64, 64, 64), (100, 100))


@interaction("cin", paper="arXiv:1803.05170")
class CIN(nn.Module):
    """Sum-pooled feature maps; those of layer k hold products of k + 1 embeddings.

    The cost is that of F * H products of vectors per map and layer.

    Shape:
        ``(B, F, D)`` -> ``(B, sum of maps)``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        maps: Annotated[tuple[int, ...], MAPS] = (64, 64),
        bias: bool = False,
    ) -> None:
        """Set up the layers.

        Args:
            fields: F.
            dim: Width D.
            maps: Number of feature maps of each layer.
            bias: Whether each map has a bias, as in FuxiCTR.
        """
        super().__init__()
        self.weights = nn.ParameterList()
        for before, after in zip((fields, *maps), maps, strict=False):
            weight = nn.Parameter(torch.empty(after, before, fields))
            nn.init.normal_(weight, 0.0, (2 / (before * fields + after)) ** 0.5)  # Xavier
            self.weights.append(weight)
        self.biases = nn.ParameterList(torch.zeros(size) for size in maps if bias)
        self.out_dim = sum(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature maps layer by layer, and pool each over the embedding."""
        entries = x.transpose(1, 2).contiguous()  # (B, D, F)
        maps, pooled = entries, [x.new_zeros(len(x), 0)]
        for number, weight in enumerate(self.weights):
            after, before, fields = weight.shape
            # sum over i of W_hij * maps_i in one product, then over j: no products of pairs
            kernel = weight.transpose(0, 1).reshape(before, after * fields)  # (H, H' * F)
            mixed = (maps @ kernel).view(-1, entries.shape[1], after, fields)  # (B, D, H', F)
            maps = (mixed @ entries.unsqueeze(3)).squeeze(3)  # (B, D, H')
            if len(self.biases):
                maps = maps + self.biases[number]
            pooled.append(maps.sum(dim=1))  # (B, H')
        return torch.cat(pooled, dim=1)  # (B, sum of maps)
