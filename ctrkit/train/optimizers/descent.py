"""Gradient descent with bounded steps, as value gates use it."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from ctrkit.nn.rows import RowParameter
from ctrkit.registry import Range, optimizer
from ctrkit.train.optimizers.base import Groups, OptimizerKind, RowOptimizer


@optimizer("descent")
class Descent(OptimizerKind):
    """Gradient descent whose steps are bounded: all parameters share one scale.

    Adam divides by each gate's own gradients, and so forgets the size of the penalty for thousands
    of steps after each occurrence of a value: what it drops depends on the number of steps. Here
    the sum of a value's gradients over the rows counts, what the value is worth in log loss,
    against the same penalty for all values.
    """

    def __init__(self, *, most: Annotated[float, Range(1e-6, 1e3)] = 0.05) -> None:
        """Take the bound.

        Args:
            most: Largest step of a parameter.
        """
        self.most = most

    def dense(self, groups: Groups, lr: float) -> torch.optim.Optimizer:
        """Return the optimiser of parameters with ordinary gradients."""
        return BoundedDescent(groups, lr, self.most)

    def of_rows(self, table: RowParameter) -> RowOptimizer:
        """Return the same update on the rows of a step."""
        return RowwiseDescent(table, self.most)


class BoundedDescent(torch.optim.Optimizer):
    """``p -= clamp(lr * grad, -most, most)``."""

    def __init__(self, groups: Groups, lr: float, most: float) -> None:
        super().__init__(list(groups), {"lr": lr, "most": most})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p -= (p.grad * group["lr"]).clamp_(-group["most"], group["most"])


class RowwiseDescent(RowOptimizer):
    """Bounded descent on the rows of a step; one update for n steps may be n times as large.

    See :meth:`ctrkit.nn.rows.RowParameter.steps_per_touch`.
    """

    def __init__(self, table: RowParameter, most: float) -> None:
        super().__init__(table)
        self.most = most

    def update(self, rows: Tensor, grad: Tensor, lr: float) -> None:
        """Move some rows."""
        most = torch.full_like(grad, self.most)
        steps = self.table.steps_per_touch(rows)
        if steps is not None:
            most *= steps
        self.table.weight[rows] -= (grad * lr).clamp(-most, most)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
