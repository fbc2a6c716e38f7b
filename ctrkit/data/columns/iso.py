"""ISO 8601: datetimes from text, and the canonical text of instants and times of day."""

from __future__ import annotations

import polars as pl

_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_OFFSET = r"^(.*:.*[0-9]) ?([+-])([0-9]{2}):?([0-9]{2})?$"
_LAST_ZEROS = r"\.?0+$"  # of a text with six decimal places


def parse_datetimes(values: pl.Series) -> pl.Series:
    """Parse ISO 8601 text, with or without a time of day and a zone.

    Args:
        values: (n,) text such as ``2024-01-31``, ``2024-01-31T12:30Z``, ``2024-01-31 12:30:00.5
            +02:00`` or ``2024-01-31 12:30:00 UTC``.

    Returns:
        (n,) Datetime in UTC (without a zone: taken as UTC), microseconds; null where unreadable.
    """
    name = values.name
    values = values.alias("v")  # the name of a column may look like a pattern
    text = pl.col("v").str.strip_suffix("Z").str.strip_suffix(" UTC")
    frame = values.to_frame().with_columns(text.str.replace("T", " ", literal=True))
    parsed = frame.select(_without_zone(pl.col("v")).alias("v")).to_series()
    rest = parsed.is_null() & values.is_not_null()
    if not rest.any():
        return parsed.alias(name)
    groups = [pl.col("v").str.extract(_OFFSET, index) for index in range(1, 5)]
    local, sign, hours, minutes = groups
    ahead = hours.cast(pl.Int64) * 60 + minutes.cast(pl.Int64).fill_null(0)
    shift = pl.duration(minutes=pl.when(sign == "-").then(-ahead).otherwise(ahead))
    zoned = frame.filter(rest).select((_without_zone(local) - shift).alias("v")).to_series()
    return parsed.scatter(rest.arg_true(), zoned).alias(name)


def _without_zone(text: pl.Expr) -> pl.Expr:
    parses = [text.str.to_datetime(f, time_unit="us", strict=False) for f in _FORMATS]
    parses.append(text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))
    return pl.coalesce(parses)


def datetime_text(values: pl.Series) -> pl.Series:
    """Return the canonical text of each instant.

    Args:
        values: (n,) Datetime of any unit; with a zone: converted to UTC; without: taken as UTC.

    Returns:
        (n,) ISO 8601 in microseconds, ``2024-01-31T12:30:00.000000``; at midnight the date alone,
        as a Date column has it.
    """
    name, values = values.name, values.alias("v")
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    instant = pl.col("v")
    midnight = pl.when(instant.dt.time() == pl.time(0))
    date, full = instant.dt.date().cast(pl.String), instant.dt.to_string("iso:strict")
    text = midnight.then(date).otherwise(full)
    instants = values.cast(pl.Datetime("us")).to_frame()
    return instants.select(text.alias("v")).to_series().alias(name)


def time_text(values: pl.Series) -> pl.Series:
    """Return the canonical text of each time of day (n,): ``12:30:00``, ``12:30:00.5``."""
    texts = values.alias("v").dt.to_string("%H:%M:%S%.6f").str.replace(_LAST_ZEROS, "")
    return texts.alias(values.name)
