"""A head, a table, an optimiser and a schedule in one file, as an outsider would write them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ctrkit.nn.rows import RowParameter
from ctrkit.nn.tables.base import CodedField, EmbeddingTable
from ctrkit.registry import head, optimizer, schedule, table
from ctrkit.schema import DROPPED
from ctrkit.train.optimizers import OptimizerKind, RowOptimizer
from ctrkit.train.schedule import Course


@head("max_head")
class MaxHead(nn.Module):
    """A smooth maximum over one logit per branch."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.logits = nn.ModuleList(nn.Linear(width, 1) for width in widths)

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Return the logits ``(B,)``."""
        each = [layer(x) for layer, x in zip(self.logits, branches, strict=True)]
        return torch.cat(each, dim=1).logsumexp(dim=1)  # (B,)


@table("mirror")
class Mirror(EmbeddingTable):
    """All fields share a few rows, counted from the end; row 0 is the zero row."""

    def __init__(
        self, coded: Sequence[CodedField], dim: int, rows: int, sparse_from: int, std: float
    ) -> None:
        size = min(rows, 1000) + 1
        super().__init__(size, 0, dim, sparse=size >= sparse_from, std=std)

    def row_of(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the rows of codes."""
        rows = self.rows - 1 - codes % (self.rows - 1)
        return torch.where(codes == DROPPED, self.zero_row, rows)

    def has_own_rows(self, field: int) -> bool:
        """No field has rows of its own."""
        return False


@optimizer("plain_sgd", can=("weight_decay", "rowwise"))
class PlainSGD(OptimizerKind):
    """Gradient descent."""

    def dense(self, groups, lr: float) -> torch.optim.Optimizer:
        """Return torch's."""
        return torch.optim.SGD(groups, lr)

    def of_rows(self, table: RowParameter) -> RowOptimizer:
        """Return descent on the rows of a step."""
        return PlainRows(table)


class PlainRows(RowOptimizer):
    """Gradient descent on rows."""

    def update(self, rows: Tensor, grad: Tensor, lr: float) -> None:
        """Move the rows."""
        self.table.weight.index_add_(0, rows, grad, alpha=-lr)

    def state_dict(self) -> dict[str, object]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore nothing."""


@schedule("square_root")
def square_root(course: Course) -> float:
    """Fall to zero, slowly at first."""
    return (1 - course.done) ** 0.5
