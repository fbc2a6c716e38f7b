"""One linear layer over all branches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import affine
from ctrkit.registry import head


@head("concat")
class ConcatHead(nn.Module):
    """Concatenate the branches and apply one linear layer, with one bias.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.output = affine(sum(widths), 1)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Concatenate and apply the layer."""
        logits: Tensor = self.output(torch.cat(list(branches), dim=1))  # (B, 1)
        return logits.squeeze(-1)  # (B,)
