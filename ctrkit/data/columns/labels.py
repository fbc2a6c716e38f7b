"""The 0/1 label: which values are accepted, and which are errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.shown import shown
from ctrkit.errors import DataError, SchemaError
from ctrkit.schema import Schema

_TEXT = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
_TEXT_TYPES = (pl.String, pl.Categorical, pl.Enum)


def label_array(frame: pl.DataFrame, schema: Schema, first_row: int = 0) -> npt.NDArray[np.uint8]:
    """Read the label column.

    Args:
        frame: ``(n,)`` rows; the label is 0/1, boolean, 0.0/1.0, or text of these (``true``,
            ``false`` in any case).
        schema: Schema that names the label column.
        first_row: Row number of the frame's first row, for messages (rows count from 0).

    Returns:
        ``(n,)`` uint8 of 0 and 1.

    Raises:
        SchemaError: The schema declares no label.
        DataError: The column is absent, or a value is null or none of the above.
    """
    if schema.label is None:
        raise SchemaError("the schema declares no label; name its column with --label")
    if schema.label not in frame.columns:
        raise DataError(f"the data has no label column {schema.label!r}")
    values = frame.get_column(schema.label)
    codes = _codes(values)
    if codes.null_count():
        row = int(codes.is_null().arg_max() or 0)
        raise DataError(
            f"label {schema.label!r} must be 0 or 1 in every row; got {shown(values, row)} in row "
            f"{first_row + row}: filter such rows, or map them to 0 and 1"
        )
    return codes.to_numpy().astype(np.uint8, copy=False)


def is_binary(values: pl.Series) -> bool:
    """Return whether every value that is not null is a 0/1 label, as :func:`label_array` reads."""
    return _codes(values).null_count() == values.null_count()


def _codes(values: pl.Series) -> pl.Series:
    """Return labels as UInt8 0 and 1; null where a value is neither."""
    values = values.alias("v")  # polars takes some names for patterns
    if values.dtype in _TEXT_TYPES:
        text = values.cast(pl.String).str.to_lowercase()
        return text.replace_strict(_TEXT, default=None, return_dtype=pl.UInt8)
    if values.dtype == pl.Boolean:
        return values.cast(pl.UInt8)
    if values.dtype.is_numeric():
        binary = (
            values.is_in([0, 1]) if values.dtype.is_integer() else (values == 0) | (values == 1)
        )
        kept = values.to_frame("v").select(pl.when(binary).then(pl.col("v"))).to_series()
        return kept.cast(pl.UInt8)
    return pl.Series(values.name, [None] * len(values), dtype=pl.UInt8)
