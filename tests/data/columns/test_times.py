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
        pl.Series(["2026-01-02 00:00:00 UTC"]),
        pl.Series(["2026-01-02T02:00:00+02:00"]),
        pl.Series(["2026-01-01 19:00:00.000-0500"]),
        pl.Series(["2026-01-02"], dtype=pl.Categorical),
        pl.Series(["2026-01-02"], dtype=pl.Enum(["2026-01-02"])),
        pl.Series([DAY]).dt.convert_time_zone("Europe/Berlin"),
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
        (pl.Series([7], dtype=pl.Int128), [7]),
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


@pytest.mark.parametrize(
    "bad",
    [
        pl.Series(["99999-01-01"]),
        pl.Series(["10000-01-01 00:00:00"]),
        pl.Series(["+10000-01-01 00:00:00"]),
        pl.Series(["0000-12-31"]),
        pl.Series([2**62]).cast(pl.Datetime("us")),
        pl.Series([-(2**63)]).cast(pl.Datetime("us")),
        pl.Series([2**62]).cast(pl.Datetime("ms")),
        pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date),
        pl.Series([2**63], dtype=pl.UInt64),
        pl.Series([2**100], dtype=pl.Int128),
    ],
)
def test_a_time_out_of_range_is_an_error_that_names_the_row(bad: pl.Series) -> None:
    good = pl.Series(["2026-01-02"]) if bad.dtype == pl.String else pl.Series([0]).cast(bad.dtype)
    frame = pl.concat([good, bad]).alias("t").to_frame()
    column = TimeColumn.of(frame_source(frame), "t")
    with pytest.raises(DataError, match=r"time column 't' must hold .* in row 41: correct"):
        column.read(frame, first_row=40)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([dt.timedelta(1)]),
        pl.Series([dt.time(1)]),
        pl.Series([[1]]),
        pl.Series([True]),
        pl.Series([{"a": 1}]),
        pl.Series([b"1"]),
    ],
)
def test_a_type_that_is_no_time_is_an_error(values: pl.Series) -> None:
    with pytest.raises(DataError, match="time column 't' must hold dates or numbers; got"):
        read(values)


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
