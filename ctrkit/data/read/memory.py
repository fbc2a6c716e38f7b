"""Frames of polars, pandas and pyarrow in memory as polars frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ctrkit.errors import DataError


def to_polars(data: object) -> pl.DataFrame:
    """Make a frame of a polars, pandas or pyarrow table, a list of dicts or a dict of lists.

    Raises:
        DataError: The data is none of these, or its columns are of unlike lengths.
    """
    value: Any = data
    try:
        if isinstance(value, pl.DataFrame):
            return value
        if isinstance(value, pl.LazyFrame):
            return value.collect()
        home = type(value).__module__.partition(".")[0]
        if home == "pyarrow" and hasattr(value, "schema"):
            return pl.DataFrame(value)
        if home == "pandas" and hasattr(value, "columns"):
            return pl.DataFrame(pl.from_pandas(value))
        if isinstance(value, Mapping):
            return pl.DataFrame(dict(value))
        if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
            return pl.DataFrame(value, infer_schema_length=None)
    except (pl.exceptions.PolarsError, NotImplementedError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"the rows make no table: {text[:200]}") from error
    raise DataError(
        "rows are a path, a polars, pandas or pyarrow table, a list of dicts or a dict of lists; "
        f"got {type(value).__name__}"
    )
