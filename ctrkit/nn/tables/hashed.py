"""At most ``model.rows`` rows per field, addressed by hash."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.nn.tables.base import CodedField
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.registry import table


@table("hashed")
class HashedTable(StackedTable):
    """At most ``rows`` rows per field; a field with no more codes than that has a row per code."""

    def __init__(
        self, coded: Sequence[CodedField], dim: int, rows: int, sparse_from: int, std: float
    ) -> None:
        hashed_rows = [rows if f.hashed or f.codes > rows else 0 for f in coded]
        super().__init__(coded, hashed_rows, dim, sparse_from=sparse_from, std=std)
