"""Columns as float64 numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.shown import shown
from ctrkit.errors import CellError, DataError

Floats = npt.NDArray[np.float64]
COMMA = r"^[-+]?(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,\d+|\d{1,3}(?:,\d{3})+(?:\.\d+)?)$"
"""Numbers with a decimal comma or commas between thousands: ``1.234,5``, ``1,5``, ``1,234``."""
POINTS = (
    "write numbers with a decimal point and no separator of thousands (pandas: "
    "read_csv(..., decimal=',', thousands='.'))"
)
"""What to do about such numbers."""
_CORRECT = "correct such rows, or declare it categorical"


def to_numbers(values: pl.Series) -> Floats:
    """Read a column as numbers; null, NaN, infinities and empty text are NaN (missing).

    Args:
        values: (n,) numbers, booleans, dates (days), datetimes and durations (microseconds,
            whatever their unit), or text of numbers and booleans.

    Returns:
        (n,) float64.

    Raises:
        DataError: A text is not a number, or the type cannot be cast.
    """
    name, values = values.name, values.alias("v")  # polars takes some names for patterns
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        cast = text.cast(pl.Float64, strict=False)
        if cast.null_count() > text.null_count():  # as a boolean column gives them
            booleans = text.str.to_lowercase().replace_strict(
                {"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64
            )
            cast = cast.zip_with(cast.is_not_null(), booleans)
        bad = cast.is_null() & text.is_not_null() & (text != "")
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise CellError(
                f"column {name!r} must hold numbers; got {shown(values, row)}",
                row,
                POINTS if text.str.contains(COMMA)[row] else _CORRECT,
            )
        values = cast
    elif isinstance(values.dtype, pl.Datetime):
        values = values.cast(pl.Datetime("us")).to_physical()
    elif isinstance(values.dtype, pl.Duration):
        values = values.cast(pl.Duration("us")).to_physical()
    elif values.dtype.is_temporal():
        values = values.to_physical()
    elif values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise DataError(f"column {name!r} must hold numbers; got {values.dtype}")
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0  # a copy; -0.0 -> 0.0
    numbers[np.isinf(numbers)] = np.nan
    return numbers
