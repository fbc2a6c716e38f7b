"""Bilinear fusion of two branches. Mao et al., FinalMLP, arXiv:2304.00902."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import affine
from ctrkit.registry import Range, head


@head("bilinear_fusion", paper="arXiv:2304.00902")
class BilinearFusion(nn.Module):
    """A linear term per branch and, in heads, bilinear terms of neighbouring branches.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        heads: Annotated[int, Range(1, 1024, log=True, search=(1, 50))] = 1,
    ) -> None:
        """Set up the terms.

        Args:
            widths: Widths of the branches; branches 1 and 2, 2 and 3, ... have bilinear terms.
            heads: Parts that each branch is cut into. Where a width cannot be divided by it, the
                largest common divisor of both and ``heads``.
        """
        super().__init__()
        self.linears = nn.ModuleList(affine(width, 1) for width in widths)
        self.kernels = nn.ParameterList()
        for left, right in pairwise(widths):
            parts = gcd(gcd(left, right), heads)
            kernel = nn.Parameter(torch.empty(parts, left // parts, right // parts))
            nn.init.normal_(kernel, 0.0, (2 / (kernel.numel() + 1)) ** 0.5)  # Xavier
            self.kernels.append(kernel)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Add up all terms."""
        terms = [layer(x).squeeze(1) for layer, x in zip(self.linears, branches, strict=True)]
        for (left, right), kernel in zip(pairwise(branches), self.kernels, strict=True):
            parts, first, second = kernel.shape
            turned = left.reshape(-1, parts, first).transpose(0, 1) @ kernel  # (H, B, O / H)
            cut = right.reshape(-1, parts, second).transpose(0, 1)  # (H, B, O / H)
            terms.append((turned * cut).sum(dim=(0, 2)))  # (B,)
        return torch.stack(terms).sum(dim=0)  # (B,)
