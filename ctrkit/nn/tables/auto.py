"""A row per code where that is possible."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.nn.tables.base import CodedField
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.registry import table


@table("auto")
class AutoTable(StackedTable):
    """A row per code, but ``rows`` rows addressed by hash for each hash-encoded field."""

    def __init__(
        self, coded: Sequence[CodedField], dim: int, rows: int, sparse_from: int, std: float
    ) -> None:
        hashed_rows = [rows if field.hashed else 0 for field in coded]
        super().__init__(coded, hashed_rows, dim, sparse_from=sparse_from, std=std)
