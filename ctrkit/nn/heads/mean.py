"""The mean of the branches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ctrkit.nn.heads.sum import SumHead
from ctrkit.registry import head


@head("mean")
class MeanHead(SumHead):
    """Average the branches' logits; a branch wider than 1 gets its own linear layer, with a bias.

    Shape:
        branches ``(B, O_i)`` -> ``(B,)``.
    """

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Average the branches' logits."""
        return super().forward(branches) / len(branches)  # (B,)
