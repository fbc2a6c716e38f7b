"""A row for every code."""

from __future__ import annotations

from collections.abc import Sequence

from ctrkit.errors import ConfigError
from ctrkit.nn.tables.base import CodedField
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.registry import table


@table("full")
class FullTable(StackedTable):
    """A row for every code; a hash-encoded field, with 2**32 codes, is refused."""

    def __init__(self, coded: Sequence[CodedField], dim: int, sparse_from: int, std: float) -> None:
        for field in coded:
            if field.hashed:
                raise ConfigError(
                    f"field {field.name!r} is hash-encoded and cannot have a full table; "
                    "use model.table=auto, or encode it with a vocabulary"
                )
        super().__init__(coded, [0] * len(coded), dim, sparse_from=sparse_from, std=std)
