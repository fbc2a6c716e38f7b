"""Rows in memory, of polars, pandas, pyarrow or plain Python, as polars frames."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import polars as pl

from ctrkit.errors import DataError


def to_polars(data: object) -> pl.DataFrame:
    """Make a frame of a polars, pandas or pyarrow table, a list of dicts or a dict of lists.

    Raises:
        DataError: The data is none of these, or its columns have different lengths.
    """
    try:
        frame = _convert(data)
    except (pl.exceptions.PolarsError, NotImplementedError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"the rows cannot be made into a table: {text[:200]}") from error
    if frame is None:
        raise DataError(
            "rows must be a path, a polars, pandas or pyarrow table, a list of dicts or a dict of "
            f"lists; got {type(data).__name__}"
        )
    return frame


def _convert(data: object) -> pl.DataFrame | None:
    """Return the frame; None where the data is of another type."""
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, Mapping):
        return pl.DataFrame(dict(data))
    if isinstance(data, list) and all(isinstance(row, Mapping) for row in data):
        return pl.DataFrame(data, infer_schema_length=None)
    # Whoever passes such a table has imported its library; nobody else should have to.
    arrow, pandas = sys.modules.get("pyarrow"), sys.modules.get("pandas")
    if arrow and isinstance(data, (arrow.Table, arrow.RecordBatch, arrow.RecordBatchReader)):
        return pl.DataFrame(data)
    if pandas and isinstance(data, pandas.DataFrame):
        return pl.DataFrame(pl.from_pandas(data))
    return None
