"""The time column as numbers, and how many rows each time has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError

WITHOUT_TIME = "or split without a time: --set data.split=random"
CELLS = 1 << 20
_SAMPLE = 100  # values that decide whether text holds dates
Times = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class TimeColumn:
    """A time column and how its values are read.

    Attributes:
        name: Name of the column.
        calendar: Whether the values are dates (read as microseconds) rather than plain numbers.
    """

    name: str
    calendar: bool = False

    @classmethod
    def of(cls, source: Source, name: str) -> TimeColumn:
        """Look at the first rows of a source to decide whether its times are dates.

        Raises:
            DataError: The source has no rows, or no such column.
        """
        first = next(source.chunks([name]), None)
        if first is None:
            raise DataError("the data has no rows")
        return cls(name, _is_calendar(first.frame.get_column(name)))

    def read(self, frame: pl.DataFrame) -> Times:
        """Read the column.

        Args:
            frame: ``(n,)`` rows; the column holds dates, datetimes, integers, floats, or text of
                ISO 8601 dates or of numbers.

        Returns:
            ``(n,)`` int64 (microseconds for dates) or float64.

        Raises:
            DataError: A time is missing or cannot be read.
        """
        values = frame.get_column(self.name)
        parsed = self._parse(values)
        bad = parsed.is_null() | (parsed.is_nan() if parsed.dtype.is_float() else False)
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise DataError(
                f"time column {self.name!r} must hold a date or a number in every row; got "
                f"{values[row]!r}: correct such rows, {WITHOUT_TIME}"
            )
        return (parsed.cast(pl.Int64) if parsed.dtype.is_temporal() else parsed).to_numpy()

    def _parse(self, values: pl.Series) -> pl.Series:
        """Return dates as datetimes and numbers as Int64 or Float64; null where unreadable."""
        dtype = values.dtype
        if dtype == pl.String:
            if self.calendar:
                return _parse_iso(values)
            fraction = values.str.contains(r"[.eE]").any()
            return values.cast(pl.Float64 if fraction else pl.Int64, strict=False)
        if dtype.is_temporal():
            zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
            return values.cast(pl.Datetime("us", zone))
        return values.cast(pl.Int64 if dtype.is_integer() else pl.Float64)


def _is_calendar(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        sample = values.drop_nulls().head(_SAMPLE)
        return len(sample) > 0 and sample.cast(pl.Float64, strict=False).null_count() > 0
    return values.dtype.is_temporal()


def _parse_iso(values: pl.Series) -> pl.Series:
    """Parse ISO 8601 text, with or without a time of day, as UTC microseconds."""
    text = pl.col(values.name).str.strip_suffix("Z").str.replace("T", " ", literal=True)
    formats = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    parses = [text.str.to_datetime(f, time_unit="us", strict=False) for f in formats[:2]]
    parses.append(text.str.to_date(formats[2], strict=False).cast(pl.Datetime("us")))
    return values.to_frame().select(pl.coalesce(parses).alias(values.name)).to_series()


def count_times(source: Source, column: TimeColumn) -> tuple[Times, npt.NDArray[np.int64]]:
    """Count the rows per time in flat memory.

    Beyond ``CELLS`` distinct times, rows are counted per cell of equal width.

    Returns:
        Ascending times (lower ends of cells) that have rows, ``(k,)``, and their rows, ``(k,)``.

    Raises:
        DataError: A time is missing or cannot be read.
    """
    times: Times = np.empty(0, np.int64)
    counts = np.empty(0, np.int64)
    low, high, exact = np.inf, -np.inf, True
    for chunk in source.chunks([column.name]):
        values = column.read(chunk.frame)
        low, high = min(low, values.min()), max(high, values.max())
        if exact:
            distinct, rows = np.unique(values, return_counts=True)
            times, where = np.unique(np.concatenate([times, distinct]), return_inverse=True)
            total = np.zeros(len(times), np.int64)
            np.add.at(total, where, np.concatenate([counts, rows]))
            counts, exact = total, len(times) <= CELLS
    return (times, counts) if exact else _count_cells(source, column, low, high)


def _count_cells(
    source: Source, column: TimeColumn, low: float, high: float
) -> tuple[Times, npt.NDArray[np.int64]]:
    whole = isinstance(low, np.integer)
    width = -(-(int(high) - int(low) + 1) // CELLS) if whole else (high - low) / (CELLS - 1)
    counts = np.zeros(CELLS, np.int64)
    for chunk in source.chunks([column.name]):
        cell = ((column.read(chunk.frame) - low) // width).astype(np.int64)
        counts += np.bincount(np.clip(cell, 0, CELLS - 1), minlength=CELLS)
    filled = np.flatnonzero(counts)
    starts: Times = np.asarray(low + filled * width)
    return starts, counts[filled]
