"""Row weights: finite numbers from 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers
from ctrkit.errors import DataError
from ctrkit.schema import Schema

_LARGEST = 1e30
"""Sums of weights times losses then fit single precision."""
WAY_OUT = "correct such rows, or do not name a weight column"
"""What to do about weights that cannot be used."""


def weight_array(
    frame: pl.DataFrame, schema: Schema, first_row: int = 0
) -> npt.NDArray[np.float32] | None:
    """Read the weight column.

    Args:
        frame: ``(n,)`` rows.
        schema: Schema that names the weight column.
        first_row: Row number of the frame's first row, for messages (rows count from 0).

    Returns:
        ``(n,)`` float32; None where the schema names no weight, or the rows do not have the column.

    Raises:
        DataError: A weight is missing, negative, above 1e30 or not a number.
    """
    weights = weight_numbers(frame, schema, first_row)
    return None if weights is None else weights.astype(np.float32)


def weight_numbers(frame: pl.DataFrame, schema: Schema, first_row: int = 0) -> Floats | None:
    """Read the weight column in full precision; see :func:`weight_array`.

    Returns:
        ``(n,)`` float64.
    """
    if schema.weight is None or schema.weight not in frame.columns:
        return None
    weights = to_numbers(frame.get_column(schema.weight))
    valid = (weights >= 0) & (weights <= _LARGEST)
    if not valid.all():
        row = int(valid.argmin())
        value = frame.get_column(schema.weight)[row]
        raise DataError(
            f"weight {schema.weight!r} must be finite and not negative, at most {_LARGEST:g}, in "
            f"every row; got {value!r} in row {first_row + row}: {WAY_OUT}"
        )
    return weights


def check_total(total: float, schema: Schema, rows: str) -> None:
    """Check that not all weights are zero.

    Args:
        total: Sum of the weights.
        schema: Schema that names the weight column.
        rows: Which rows, for the message, such as "training rows".

    Raises:
        DataError: The sum is zero.
    """
    if schema.weight is not None and not total > 0:
        raise DataError(
            f"weight {schema.weight!r} must be above 0 in some of the {rows}; it is 0 in all of "
            f"them: {WAY_OUT}"
        )
