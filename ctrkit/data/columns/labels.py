"""The 0/1 label: what counts as one, and what is refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.errors import DataError, SchemaError
from ctrkit.schema import Schema

_TEXT = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def label_array(frame: pl.DataFrame, schema: Schema, first_row: int = 0) -> npt.NDArray[np.uint8]:
    """Read the label column.

    Args:
        frame: (n,) rows; the label is 0/1, boolean, 0.0/1.0, or text of these (``true``,
            ``false`` in any case).
        schema: Names the label.
        first_row: Row number of the frame's first row, for messages (rows count from 0).

    Returns:
        (n,) uint8 of 0 and 1.

    Raises:
        SchemaError: The schema declares no label.
        DataError: The column is absent, or a value is null or none of the above.
    """
    if schema.label is None:
        raise SchemaError("the schema declares no label; name its column by --label")
    if schema.label not in frame.columns:
        raise DataError(f"the data has no label column {schema.label!r}")
    values = frame.get_column(schema.label)
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = values.cast(pl.String).str.to_lowercase()
        codes = text.replace_strict(_TEXT, default=None, return_dtype=pl.UInt8)
    elif values.dtype == pl.Boolean:
        codes = values.cast(pl.UInt8)
    elif values.dtype.is_numeric():
        good = values.is_in([0, 1]) if values.dtype.is_integer() else (values == 0) | (values == 1)
        kept = values.to_frame("v").select(pl.when(good).then(pl.col("v"))).to_series()
        codes = kept.cast(pl.UInt8)
    else:
        codes = pl.Series(schema.label, [None] * len(values), dtype=pl.UInt8)
    if codes.null_count():
        at = int(codes.is_null().arg_max() or 0)
        raise DataError(
            f"label {schema.label!r} is 0 or 1 in every row; row {first_row + at} "
            f"holds {values[at]!r}: filter such rows, or map them to 0 and 1"
        )
    return codes.to_numpy().astype(np.uint8, copy=False)


def check_two_classes(rows: int, positives: int, label: str, split: str = "train") -> None:
    """Refuse a split whose label is constant.

    Raises:
        DataError: All of the rows are clicks, or none.
    """
    if positives in (0, rows):
        only = int(bool(rows and positives))
        raise DataError(
            f"label {label!r} is {only} in all {rows} rows of {split}: both 0 and 1 are needed; "
            "try another split (--set data.split=random) or another label"
        )
