"""Times are numbers: microseconds for dates, and what the column holds for numbers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns import times
from ctrkit.data.columns.times import TimeColumn, count_times
from ctrkit.data.read.sources import frame_source
from ctrkit.errors import DataError

DAY = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
MICROSECONDS = int(DAY.timestamp()) * 1_000_000


def read(values: pl.Series) -> tuple[bool, list[float]]:
    frame = values.alias("t").to_frame()
    column = TimeColumn.of(frame_source(frame), "t")
    return column.calendar, column.read(frame).tolist()


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([DAY.date()]),
        pl.Series([DAY.replace(tzinfo=None)]),
        pl.Series([DAY]),
        pl.Series([DAY.replace(tzinfo=None)]).cast(pl.Datetime("ns")),
        pl.Series(["2026-01-02"]),
        pl.Series(["2026-01-02 00:00"]),
        pl.Series(["2026-01-02T00:00:00Z"]),
        pl.Series(["2026-01-02 00:00:00.000"]),
    ],
)
def test_dates_are_microseconds(values: pl.Series) -> None:
    assert read(values) == (True, [MICROSECONDS])


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (pl.Series([3, 2**60]), [3, 2**60]),
        (pl.Series([0.5, 2.0]), [0.5, 2.0]),
        (pl.Series(["3", str(2**60)]), [3, 2**60]),
        (pl.Series(["0.5", "2"]), [0.5, 2.0]),
    ],
)
def test_numbers_stay_numbers(values: pl.Series, numbers: list[float]) -> None:
    assert read(values) == (False, numbers)


@pytest.mark.parametrize(
    "values", [[1, None], [1.0, float("nan")], ["2026-01-02", "soon"], ["1", ""]]
)
def test_a_missing_or_malformed_time_is_an_error(values: list[object]) -> None:
    with pytest.raises(DataError, match="time column 't' must hold a date or a number"):
        read(pl.Series(values))


def test_no_rows_is_an_error() -> None:
    with pytest.raises(DataError, match="no rows"):
        TimeColumn.of(frame_source({"t": pl.Series([], dtype=pl.Int64)}), "t")


@pytest.mark.parametrize("scale", [1, 0.25])
def test_many_times_are_counted_per_cell(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 1000, 5000) * scale
    source = frame_source({"t": values})
    exact, rows = count_times(source, TimeColumn("t"))
    assert exact.tolist() == np.unique(values).tolist()
    assert rows.sum() == len(values)
    monkeypatch.setattr(times, "CELLS", 64)
    starts, counts = count_times(source, TimeColumn("t"))
    assert len(starts) <= 64
    assert counts.sum() == len(values)
    before = [int((values < start).sum()) for start in starts[1:]]
    one_time = 0 if scale == 1 else int(rows.max())  # the start of a cell of fractions is rounded
    assert np.abs(np.cumsum(counts)[:-1] - before).max() <= one_time
