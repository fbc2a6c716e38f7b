"""What an optimiser is: an update of dense parameters, and one of the rows of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ctrkit.nn.rows import RowParameter

Groups = Sequence[dict[str, Any]]
"""Parameter groups of a ``torch.optim.Optimizer``: ``params``, ``weight_decay``."""


class RowOptimizer(ABC):
    """Updates only the rows that a step has touched: its cost does not grow with the table.

    Attributes:
        grad: Gradient ``(U, D)`` of the collected rows; None: no row was touched.
    """

    def __init__(self, table: RowParameter) -> None:
        self.table = table
        self.rows: Tensor | None = None
        self.grad: Tensor | None = None

    def collect(self, l2: float) -> None:
        """Sum the gradients of the step, a row each, and add the table's penalty (L2)."""
        touched = [(rows, leaf.grad) for rows, leaf in self.table.touched]
        filled = [(rows.reshape(-1), grad) for rows, grad in touched if grad is not None]
        self.table.touched.clear()
        self.rows = self.grad = None
        if not filled:
            return
        all_rows = torch.cat([rows for rows, _ in filled])  # (T,)
        width = self.table.weight.shape[1]
        grads = torch.cat([grad.reshape(-1, width).float() for _, grad in filled])  # (T, D)
        rows, place = torch.unique(all_rows, return_inverse=True)  # (U,), (T,)
        grad = grads.new_zeros(len(rows), width).index_add_(0, place, grads)  # (U, D)
        if self.table.zero_row is not None:
            keep = rows != self.table.zero_row
            rows, grad = rows[keep], grad[keep]
        self.table.penalise(rows, grad, l2)
        self.rows, self.grad = rows, grad

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the collected rows."""
        self.count_step()
        if self.rows is not None and self.grad is not None:
            self.update(self.rows, self.grad, lr)
        self.rows = self.grad = None

    def count_step(self) -> None:
        """Take note of a step, whether or not it touched rows."""
        return

    @abstractmethod
    def update(self, rows: Tensor, grad: Tensor, lr: float) -> None:
        """Update rows ``(U,)``, each once, by their gradient ``(U, D)``."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that :meth:`state_dict` returned."""


class OptimizerKind(ABC):
    """An optimiser by name: the base of every class registered with ``@optimizer(name)``.

    The constructor has keyword-only hyper-parameters with defaults. What else it can do is in its
    row of the registry (:attr:`ctrkit.components.Entry.can`).
    """

    @abstractmethod
    def dense(self, groups: Groups, lr: float) -> torch.optim.Optimizer:
        """Return the optimiser of parameters with ordinary gradients.

        Groups have a key ``weight_decay``; it is 0 unless the optimiser can ``weight_decay``.
        """

    def of_rows(self, table: RowParameter) -> RowOptimizer:
        """Return the optimiser of a sparse table; called if the optimiser can ``rowwise``."""
        raise NotImplementedError(f"{type(self).__name__} cannot update rows alone")
