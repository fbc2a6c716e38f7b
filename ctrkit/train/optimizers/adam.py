"""Adam: fused and with decoupled weight decay for the network, row-wise for large tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ctrkit.nn.rows import RowParameter
from ctrkit.registry import optimizer
from ctrkit.train.optimizers.base import Groups, OptimizerKind, RowOptimizer

BETAS = (0.9, 0.999)


@optimizer("adam", paper="arXiv:1412.6980, 1711.05101")
class Adam(OptimizerKind):
    """Adam (Kingma and Ba, algorithm 1) with decoupled weight decay (Loshchilov and Hutter)."""

    def __init__(self, *, eps: float = 1e-8, fused: bool = True) -> None:
        """Take the hyper-parameters.

        Args:
            eps: Added to the root of the second moment.
            fused: Whether one kernel does the dense update; rounding differs.
        """
        self.eps, self.fused = eps, fused

    def dense(self, groups: Groups, lr: float) -> torch.optim.Optimizer:
        """Return torch's AdamW."""
        return torch.optim.AdamW(groups, lr, BETAS, self.eps, weight_decay=0.0, fused=self.fused)

    def of_rows(self, table: RowParameter) -> RowOptimizer:
        """Return Adam on the rows of a step."""
        return RowwiseAdam(table, self.eps)


class RowwiseAdam(RowOptimizer):
    """Adam on the rows of a step ("lazy Adam").

    Equal to Adam while every step touches every row. A row that is not touched keeps its moments;
    the bias correction counts all steps.
    """

    def __init__(self, table: RowParameter, eps: float = 1e-8) -> None:
        super().__init__(table)
        self.eps, self.steps = eps, 0
        self.mean = torch.zeros_like(table.weight, dtype=torch.float32)  # (R, D)
        self.square = torch.zeros_like(table.weight, dtype=torch.float32)  # (R, D)

    def count_step(self) -> None:
        """Count for the bias correction."""
        self.steps += 1

    def update(self, rows: Tensor, grad: Tensor, lr: float) -> None:
        """Do Adam's update on some rows."""
        mean = self.mean[rows].lerp_(grad, 1 - BETAS[0])
        square = self.square[rows].mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        self.mean[rows], self.square[rows] = mean, square
        scale = (1 - BETAS[1] ** self.steps) ** 0.5
        change = mean / (square.sqrt_().div_(scale).add_(self.eps))
        self.table.weight.index_add_(0, rows, change, alpha=-lr / (1 - BETAS[0] ** self.steps))

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the number of steps."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the moments and the number of steps."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = state["steps"]
