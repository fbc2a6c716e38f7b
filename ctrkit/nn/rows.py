"""A parameter whose rows are read by number: what embedding tables and value gates are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RowParameter(nn.Module):
    """One parameter ``weight (R, D)`` whose rows are gathered by number.

    A *sparse* one is gathered outside autograd, so that neither the gradient nor the update costs
    time proportional to R: a row-wise optimiser takes the gradients of the step's rows from
    ``touched``.

    Attributes:
        sparse: Whether a row-wise optimiser updates the rows.
        zero_row: The row that stays zero and never gets a gradient; None: there is no such row.
        touched: Rows ``(N,)`` gathered in this step, and the leaf ``(N, D)`` with their gradient;
            filled where ``sparse``.
        track_rows: Whether to note gathered rows in ``touched_rows``: L2 on the rows of a step.
        touched_rows: Rows ``(N,)`` gathered in this step; filled where not ``sparse``.
    """

    def __init__(self, weight: Tensor, zero_row: int | None = None, *, sparse: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=not sparse)
        self.zero_row, self.sparse = zero_row, sparse
        self.touched: list[tuple[Tensor, Tensor]] = []
        self.track_rows = False
        self.touched_rows: list[Tensor] = []

    def gather(self, rows: Tensor) -> Tensor:
        """Return the vectors of rows.

        Shape:
            rows ``(...)`` int64 -> ``(..., D)``.
        """
        if not self.sparse:
            if self.track_rows and self.training:
                self.touched_rows.append(rows.detach().reshape(-1))
            return F.embedding(rows, self.weight, padding_idx=self.zero_row)  # (..., D)
        if not (self.training and torch.is_grad_enabled()):
            return F.embedding(rows, self.weight)  # (..., D)
        flat = rows.reshape(-1)  # (N,)
        leaf = self.weight.detach()[flat].requires_grad_()  # (N, D)
        self.touched.append((flat, leaf))
        return leaf.view(*rows.shape, leaf.shape[1])  # (..., D)

    def forget(self) -> None:
        """Forget the rows of the last step."""
        self.touched.clear()
        self.touched_rows.clear()

    def penalise(self, rows: Tensor, grad: Tensor, l2: float) -> None:
        """Add the gradient of the penalty on rows ``(U,)`` to ``grad (U, D)`` in place: L2."""
        if l2:
            grad.add_(self.weight.detach()[rows], alpha=l2)

    def steps_per_touch(self, rows: Tensor) -> Tensor | None:
        """Return how many steps one update of each row counts for ``(U, 1)``; None: one."""
        return None
