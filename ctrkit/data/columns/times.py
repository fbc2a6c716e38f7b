"""The time column as numbers, and how many rows each time has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.iso import parse_datetimes
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError

WITHOUT_TIME = "or split without a time: --set data.split=random"
CELLS = 1 << 20
_SAMPLE = 100  # values that decide whether text holds dates
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_800  # years 1 to 9999
_DAY = 86_400  # seconds
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
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

    def read(self, frame: pl.DataFrame, first_row: int = 0) -> Times:
        """Read the column.

        Args:
            frame: ``(n,)`` rows; the column holds dates, datetimes, integers, floats, or text of
                ISO 8601 dates or of numbers.
            first_row: Row number of the frame's first row, for messages (rows count from 0).

        Returns:
            ``(n,)`` int64 (microseconds for dates, in UTC) or float64.

        Raises:
            DataError: A time is missing, cannot be read, or is not in the years 1 to 9999.
        """
        values = _plain(frame.get_column(self.name)).alias("v")  # some names look like patterns
        parsed = self._parse(values)
        bad = parsed.is_null() | (parsed.is_nan() if parsed.dtype.is_float() else False)
        if bad.any():
            row = int(bad.arg_max() or 0)
            text = values.dtype == pl.String
            value = values[row] if text else values.to_physical()[row]
            unit = f" ({values.dtype})" if values.dtype.is_temporal() else ""
            raise DataError(
                f"time column {self.name!r} must hold a date or a number in every row (dates: "
                f"years 1 to 9999); got {value!r}{unit} in row {first_row + row}: correct such "
                f"rows, {WITHOUT_TIME}"
            )
        return parsed.to_numpy()

    def _parse(self, values: pl.Series) -> pl.Series:
        """Return dates as Int64 microseconds, numbers as Int64 or Float64; null if unreadable."""
        dtype = values.dtype
        if dtype == pl.String and not self.calendar:
            fraction = values.str.contains(r"[.eE]").any()
            return values.cast(pl.Float64 if fraction else pl.Int64, strict=False)
        if dtype == pl.String:
            return _microseconds(parse_datetimes(values))
        if dtype.is_temporal():
            return _microseconds(values)
        return values.cast(pl.Int64 if dtype.is_integer() else pl.Float64, strict=False)


def _plain(values: pl.Series) -> pl.Series:
    """Return categories as text; refuse types that are no time.

    Raises:
        DataError: The column holds neither dates, numbers nor text.
    """
    dtype = values.dtype
    if dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    if dtype.is_numeric() or dtype in (pl.String, pl.Date, pl.Datetime, pl.Null):
        return values
    raise DataError(
        f"time column {values.name!r} must hold dates or numbers; got {dtype}: name another "
        f"column, {WITHOUT_TIME}"
    )


def _is_calendar(values: pl.Series) -> bool:
    values = _plain(values).alias("v")
    if values.dtype == pl.String:
        sample = values.drop_nulls().head(_SAMPLE)
        return len(sample) > 0 and sample.cast(pl.Float64, strict=False).null_count() > 0
    return values.dtype.is_temporal()


def _microseconds(values: pl.Series) -> pl.Series:
    """Return dates and datetimes as Int64 microseconds; null outside the years 1 to 9999."""
    dtype = values.dtype
    per_second = _PER_SECOND[dtype.time_unit] if isinstance(dtype, pl.Datetime) else None
    numbers = values.to_physical().cast(pl.Int64)
    low, high = _FIRST_SECOND, _LAST_SECOND
    if per_second is None:
        low, high = low // _DAY, high // _DAY
    else:
        low, high = low * per_second, high * per_second
    inside = numbers.is_between(max(low, -(2**63)), min(high, 2**63 - 1), closed="left")
    numbers = numbers.set(~inside, None)
    if per_second is None:
        return numbers * (_DAY * 1_000_000)
    if per_second > 1_000_000:
        return numbers // (per_second // 1_000_000)
    return numbers * (1_000_000 // per_second)


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
        with source.locating(chunk):
            values = column.read(chunk.frame, chunk.first_row)
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
        cell = ((column.read(chunk.frame, chunk.first_row) - low) // width).astype(np.int64)
        counts += np.bincount(np.clip(cell, 0, CELLS - 1), minlength=CELLS)
    filled = np.flatnonzero(counts)
    starts: Times = np.asarray(low + filled * width)
    return starts, counts[filled]
