"""Columns as seconds since 1970, where their values are times at all."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers
from ctrkit.data.columns.times import TimeColumn
from ctrkit.errors import DataError

_FEWEST, _MOST = 1e8, 1e10  # seconds since 1970: the years 1973 to 2286
_UNITS = (1.0, 1e3, 1e6, 1e9)  # per second, of numbers since 1970
_HEAD = 20  # values that decide what a text holds


def seconds_of(values: pl.Series) -> Floats | None:
    """Return times as seconds since 1970, nan where missing; None: the values are no times.

    Args:
        values: ``(n,)`` dates, datetimes, ISO 8601 text, or numbers since 1970 in any unit.
    """
    if values.dtype in (pl.Categorical, pl.Enum):
        values = values.cast(pl.String)
    values = values.alias("t")
    known = values.is_not_null().to_numpy()
    if values.dtype.is_numeric():
        return _from_epoch(to_numbers(values))
    if values.dtype not in (pl.String, pl.Date, pl.Datetime) or not known.any():
        return None
    frame = values.filter(values.is_not_null()).to_frame()
    if values.dtype == pl.String and not frame["t"].head(_HEAD).str.contains(_ISO).all():
        numbers = values.cast(pl.Float64, strict=False)
        return _from_epoch(numbers.to_numpy()) if numbers.null_count() < len(values) else None
    try:
        read = TimeColumn("t", calendar=True).read(frame)
    except DataError:
        return None
    seconds = np.full(len(values), np.nan)
    seconds[known] = read / 1e6
    return seconds


_ISO = r"^\d{4}-\d{2}-\d{2}"


def _from_epoch(numbers: Floats) -> Floats | None:
    """Return numbers since 1970 as seconds, by their magnitude."""
    known = numbers[~np.isnan(numbers)]
    middle = float(np.median(known)) if len(known) else 0.0
    for unit in _UNITS:
        if _FEWEST <= middle / unit < _MOST:
            return numbers / unit
    return None
