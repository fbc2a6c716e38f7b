"""The split by a column that names each row's split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.shown import shown
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SPLIT_NAMES, SplitPlan
from ctrkit.errors import DataError
from ctrkit.registry import register
from ctrkit.schema import Schema, Split


@register("split", "column")
@dataclass(frozen=True)
class ColumnSplit(SplitPlan):
    """By a column: its values are ``train``, ``validation`` (``valid``, ``val``) or ``test``."""

    @classmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Take the column of the options; nothing is read."""
        return cls(split)

    @property
    def column(self) -> str:
        """The column that names the split."""
        return str(self.split.column)

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Read the names, in any case.

        Raises:
            DataError: A value is not the name of a split.
        """
        values = chunk.frame.get_column(self.column).alias("v")
        names = values.cast(pl.String).str.to_lowercase()
        splits = names.replace_strict(SPLIT_NAMES, default=None, return_dtype=pl.UInt8)
        if splits.null_count():
            row = int(splits.is_null().arg_max() or 0)
            raise DataError(
                f"split column {self.column!r} must hold one of {', '.join(SPLIT_NAMES)}; got "
                f"{shown(values, row)} in row {chunk.first_row + row}"
            )
        return splits.to_numpy().astype(np.uint8, copy=False)
