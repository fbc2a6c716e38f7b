"""Mask blocks. Wang et al., MaskNet, arXiv:2102.07619, sections 3.2 to 3.4."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Dropout, affine, perceptron
from ctrkit.registry import Range, interaction

Ratio = Annotated[float, Range(0.01, 16.0, log=True, search=(0.1, 4.0))]


@interaction("serial_mask", paper="arXiv:2102.07619")
class SerialMask(nn.Module):
    """MaskNet's serial form: each block masks the output of the one before.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        ratio: Ratio = 1.0,
        dropout: Dropout = 0.0,
        norm: bool = True,
        norm_fields: bool = True,
    ) -> None:
        """Set up the blocks.

        Args:
            fields: F.
            dim: Width D.
            hidden: Width of each block's output.
            ratio: Width of a mask's hidden layer, as a share of the mask's width.
            dropout: Share of the outputs dropped in training.
            norm: Whether blocks normalise their outputs, by layer.
            norm_fields: Whether each field is normalised before the first mask.
        """
        super().__init__()
        width = fields * dim
        self.norm_fields = FieldNorm(fields, dim) if norm_fields else nn.Identity()
        self.blocks = nn.ModuleList(
            MaskBlock(width, before, size, ratio, dropout, norm)
            for before, size in zip((width, *hidden), hidden, strict=False)
        )
        self.out_dim = hidden[-1] if hidden else width

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks one after the other."""
        source = x.flatten(1)  # (B, F * D)
        out: Tensor = self.norm_fields(x).flatten(1)  # (B, F * D)
        for block in self.blocks:
            out = block(source, out)  # (B, hidden[i])
        return out


@interaction("parallel_mask", paper="arXiv:2102.07619")
class ParallelMask(nn.Module):
    """MaskNet's parallel form: blocks on the embeddings, side by side, under a perceptron.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        blocks: Annotated[int, Range(1, 32, search=(1, 6))] = 3,
        block_dim: Annotated[int, Range(1, 4096, log=True, search=(16, 512))] = 64,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        ratio: Ratio = 1.0,
        dropout: Dropout = 0.0,
        norm: bool = True,
        norm_fields: bool = True,
    ) -> None:
        """Set up the blocks.

        Args:
            fields: F.
            dim: Width D.
            blocks: Number K of blocks.
            block_dim: Width of each block's output.
            hidden: Widths of the perceptron; none: the blocks' outputs.
            ratio: Width of a mask's hidden layer, as a share of the mask's width.
            dropout: Share of the outputs dropped in training.
            norm: Whether blocks normalise their outputs, by layer.
            norm_fields: Whether each field is normalised before it is masked.
        """
        super().__init__()
        width = fields * dim
        self.norm_fields = FieldNorm(fields, dim) if norm_fields else nn.Identity()
        self.blocks = nn.ModuleList(
            MaskBlock(width, width, block_dim, ratio, dropout, norm) for _ in range(blocks)
        )
        self.layers = perceptron(blocks * block_dim, hidden, dropout, "none")
        self.out_dim = hidden[-1] if hidden else blocks * block_dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks side by side, then the perceptron."""
        source, masked = x.flatten(1), self.norm_fields(x).flatten(1)  # (B, F * D)
        outputs = torch.cat([block(source, masked) for block in self.blocks], dim=1)  # (B, K * o)
        out: Tensor = self.layers(outputs)  # (B, O)
        return out


class FieldNorm(nn.Module):
    """Layer normalisation of each field, with a scale and a shift of its own.

    Shape:
        ``(B, F, D)`` -> ``(B, F, D)``.
    """

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(fields, dim))
        self.shift = nn.Parameter(torch.zeros(fields, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the fields."""
        normal = nn.functional.layer_norm(x, x.shape[-1:])  # (B, F, D)
        return normal * self.scale + self.shift


class MaskBlock(nn.Module):
    """``ReLU(LN(W (mask(E) * h)))`` with ``mask(E) = W2 ReLU(W1 E + b1) + b2``; W has no bias.

    Shape:
        embeddings ``(B, F * D)``, hidden ``(B, width)`` -> ``(B, size)``.
    """

    def __init__(
        self, source: int, width: int, size: int, ratio: float, dropout: float, norm: bool
    ) -> None:
        super().__init__()
        inner = max(1, int(width * ratio))
        self.mask = nn.Sequential(affine(source, inner), nn.ReLU(), affine(inner, width))
        self.hidden = affine(width, size, bias=False)
        self.norm = nn.LayerNorm(size) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, hidden: Tensor) -> Tensor:
        """Mask and apply the hidden layer."""
        out = self.hidden(self.mask(source) * hidden)  # (B, size)
        dropped: Tensor = self.dropout(self.norm(out).relu())
        return dropped
