"""Row weights: finite numbers from 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers
from ctrkit.errors import DataError
from ctrkit.schema import Schema

_LARGEST = float(np.finfo(np.float32).max)


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
        DataError: A weight is missing, negative, infinite or not a number.
    """
    weights = _weights(frame, schema, first_row)
    return None if weights is None else weights.astype(np.float32)


def whole_weights(
    frame: pl.DataFrame, schema: Schema, first_row: int = 0
) -> npt.NDArray[np.int64] | None:
    """Read the weight column as numbers of rows; see :func:`weight_array`.

    Returns:
        ``(n,)`` int64: how often each row counts.

    Raises:
        DataError: A weight is not a whole number from 0.
    """
    weights = _weights(frame, schema, first_row)
    if weights is None:
        return None
    _check(weights == np.floor(weights), frame, schema, first_row, "a whole number (rows count)")
    return weights.astype(np.int64)


def _weights(frame: pl.DataFrame, schema: Schema, first_row: int) -> Floats | None:
    if schema.weight is None or schema.weight not in frame.columns:
        return None
    weights = to_numbers(frame.get_column(schema.weight))
    valid = (weights >= 0) & (weights <= _LARGEST)
    _check(valid, frame, schema, first_row, "finite and not negative")
    return weights


def _check(
    valid: npt.NDArray[np.bool_], frame: pl.DataFrame, schema: Schema, first_row: int, rule: str
) -> None:
    if valid.all():
        return
    row = int(valid.argmin())
    value = frame.get_column(str(schema.weight))[row]
    raise DataError(
        f"weight {schema.weight!r} must be {rule} in every row; got {value!r} in row "
        f"{first_row + row}: correct such rows, or do not name a weight column"
    )
