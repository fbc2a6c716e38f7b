"""Weights as numbers of rows: whole multiples of a unit that all weights of the data share.

So a constant factor changes no score, and a weight of 2 counts as two rows of weight 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.weights import check_total, weight_numbers
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError
from ctrkit.schema import Schema

MOST_ROWS = 2**31
"""Largest number of rows, by weight: products of two counts then fit 64 bits."""
_CLOSE = 1e-6  # of the unit: a multiple up to rounding
_SINGLE, _DOUBLE = 2.0**-22, 2.0**-50  # relative rounding errors of weights
_WHOLE = 2.0**53
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowWeights:
    """The weights of the data.

    Attributes:
        schema: Schema that names the weight column.
        unit: The weight that counts as one row.
        rows: Number of rows.
        total: Sum of the weights, in units.
    """

    schema: Schema
    unit: float
    rows: int
    total: int

    def of(self, chunk: Chunk) -> npt.NDArray[np.int64] | None:
        """Return how often each row (n,) of a chunk counts; None: it has no weights.

        Raises:
            DataError: A weight is invalid.
        """
        weights = weight_numbers(chunk.frame, self.schema, chunk.first_row)
        return None if weights is None else np.rint(weights / self.unit).astype(np.int64)

    @property
    def warning(self) -> str | None:
        """One line, where the unit is not obvious from the weights."""
        if self.unit == 1 or self.total <= self.rows:
            return None
        return (
            f"weight {self.schema.weight!r} counts rows in units of {self.unit:g}: "
            f"{self.rows:,} rows count as {self.total:,}"
        )


def row_weights(source: Source, schema: Schema) -> RowWeights | None:
    """Read the weight column and return the unit that its weights share; None: no weights.

    Raises:
        DataError: A weight is invalid, all are zero, they share no unit, or count too many rows.
    """
    name = schema.weight
    if name is None or name not in source.columns:
        return None
    exact, close, total, rows = 0, 0.0, 0.0, 0
    all_whole = True
    for ordinal in range(len(source.files)):
        for chunk in source.file_frames(ordinal, [name]):
            with source.locating(chunk):
                weights = weight_numbers(chunk.frame, schema, chunk.first_row)
            if weights is None:
                continue
            rows, total = rows + len(weights), total + float(weights.sum())
            values = np.unique(weights[weights > 0])
            all_whole = all_whole and bool(
                (values == np.floor(values)).all() and (values < _WHOLE).all()
            )
            if all_whole:
                exact = math.gcd(exact, int(np.gcd.reduce(values.astype(np.int64), initial=0)))
            single = chunk.frame.schema[name] == pl.Float32
            close = _common_unit(values, close, _SINGLE if single else _DOUBLE)
    if not rows:
        return None
    check_total(total, schema, "rows")
    for unit in ([float(exact)] if all_whole else []) + [close]:
        if total / unit < MOST_ROWS:
            return RowWeights(schema, unit, rows, round(total / unit))
    raise DataError(
        f"weight {name!r} must count fewer than {MOST_ROWS:,} rows in all, in whole multiples of "
        f"one unit; got {total / close:.3g} times {close:.3g}: round the weights to fewer digits, "
        "or do not name a weight column"
    )


def _common_unit(values: Floats, unit: float, error: float) -> float:
    """Return the largest number that positive values (n,) and a unit are multiples of (Euclid).

    Where there is none of a useful size, any number too small to count with is returned.

    Args:
        values: Ascending.
        unit: Unit of the values so far; 0: none.
        error: Relative rounding error of the values.
    """
    if unit:
        values = np.unique(np.append(values, unit))
    while len(values) > 1 and values[-1] < values[0] * MOST_ROWS:
        rest = np.abs(values - np.rint(values / values[0]) * values[0])
        kept = rest[rest > _CLOSE * values[0] + error * values]
        values = np.unique(np.append(kept, values[0]))
    return float(values[0]) if len(values) else unit
