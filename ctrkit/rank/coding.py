"""Reading the rows once more as dense codes of the features that are compared in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from ctrkit.metrics.mapped import MappedColumn
from ctrkit.rank.coded import Coded, Codes, parallel
from ctrkit.rank.counting import Counting
from ctrkit.rank.feature import Feature
from ctrkit.rank.null import Ints
from ctrkit.rank.tables import Table


@dataclass(frozen=True)
class CodedFeatures:
    """Features with the rows as their codes.

    Attributes:
        features: At least two features.
        coded: Rows, a column per feature.
    """

    features: Sequence[Feature]
    coded: Coded

    @property
    def sizes(self) -> list[Ints]:
        """Rows of each code, per feature."""
        return [f.table.sizes for f in self.features]

    @property
    def live(self) -> list[int]:
        """Positions of the features that are not noise."""
        return [i for i, f in enumerate(self.features) if "noise" not in f.flags]


def code_features(counting: Counting, features: Sequence[Feature]) -> CodedFeatures:
    """Read the rows as codes of some features.

    Args:
        counting: Rows, as they were counted.
        features: At least two features that are not tokens.
    """
    tables = [f.table for f in features]
    columns = [MappedColumn(np.min_scalar_type(t.size - 1)) for t in tables]
    label, weight = MappedColumn(np.uint8), MappedColumn(np.int64)
    for chunk in counting.all_chunks([t.field.name for t in tables]):
        codes = parallel(partial(_codes, chunk.frame), tables)
        for column, of_chunk in zip(columns, codes, strict=True):
            column.add(of_chunk)
        label.add(counting.rows.label_of(chunk))
        weight.add(counting.rows.weight_of(chunk))
    coded = Coded(
        columns=[column.array() for column in columns],
        sizes=[t.size for t in tables],
        label=label.array(),
        classes=counting.rows.classes,
        weight=weight.array(),
    )
    return CodedFeatures(features, coded)


def _codes(frame: pl.DataFrame, table: Table) -> Codes:
    return table.codes(frame)
