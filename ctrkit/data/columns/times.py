"""Times as numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.errors import DataError

WAY_OUT = "--set data.split=random"
Times = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def is_calendar(values: pl.Series) -> bool:
    """Whether times are dates (numbers are microseconds) rather than plain numbers."""
    if values.dtype == pl.String:
        filled = values.drop_nulls().head(100)
        return len(filled) > 0 and filled.cast(pl.Float64, strict=False).null_count() > 0
    return values.dtype.is_temporal()


def _iso(values: pl.Series) -> pl.Series:
    """Read ISO 8601 text, with or without a time of day, as UTC microseconds."""
    text = pl.col(values.name).str.strip_suffix("Z").str.replace("T", " ", literal=True)
    forms = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    reads = [text.str.to_datetime(f, time_unit="us", strict=False) for f in forms[:2]]
    reads.append(text.str.to_date(forms[2], strict=False).cast(pl.Datetime("us")))
    return values.to_frame().select(pl.coalesce(reads).alias(values.name)).to_series()


def time_numbers(values: pl.Series, calendar: bool) -> npt.NDArray[np.int64 | np.float64]:
    """Return times as int64 (microseconds for dates) or float64.

    Args:
        values: (n,) dates, datetimes, integers, floats, or text of ISO dates or numbers.
        calendar: Whether text holds dates, see :func:`is_calendar`.

    Raises:
        DataError: A time is missing or cannot be read.
    """
    if values.dtype == pl.String:
        if calendar:
            parsed = _iso(values)
        elif values.str.contains(r"[.eE]").any():
            parsed = values.cast(pl.Float64, strict=False)
        else:
            parsed = values.cast(pl.Int64, strict=False)
    elif values.dtype.is_temporal():
        zone = getattr(values.dtype, "time_zone", None)
        parsed = values.cast(pl.Datetime("us", zone))
    else:
        parsed = values.cast(pl.Int64 if values.dtype.is_integer() else pl.Float64)
    bad = parsed.is_null() | (parsed.is_nan() if parsed.dtype.is_float() else False)
    if bad.any():
        at = int(bad.arg_max() or 0)
        raise DataError(
            f"time column {values.name!r} holds {values[at]!r}: every row needs a date or a "
            f"number; or {WAY_OUT}"
        )
    return (parsed.cast(pl.Int64) if parsed.dtype.is_temporal() else parsed).to_numpy()
