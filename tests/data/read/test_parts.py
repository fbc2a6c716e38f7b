"""Files that differ in width, unit or by missing values are read together, values unchanged."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from ctrkit.data.read.sources import open_source
from ctrkit.errors import DataError

DAY = dt.datetime(2024, 1, 31, 12)


def _together(folder: Path, *parts: pl.Series) -> pl.Series:
    for index, part in enumerate(parts):
        frame = part.alias("v").to_frame().with_columns(w=pl.lit(index))
        frame.select(frame.columns[:: 1 - 2 * (index % 2)]).write_parquet(
            folder / f"{index}.parquet"
        )
    return pl.concat([c.frame for c in open_source(folder).chunks()])["v"]


@pytest.mark.parametrize(
    ("parts", "dtype"),
    [
        ((pl.Series([1, 2]), pl.Series([1.0, None])), pl.Float64()),
        ((pl.Series([1], dtype=pl.UInt8), pl.Series([-1], dtype=pl.Int8)), pl.Int16()),
        ((pl.Series([1], dtype=pl.UInt32), pl.Series([-1])), pl.Int64()),
        ((pl.Series(["a"]), pl.Series(["b"], dtype=pl.Categorical)), pl.String()),
        ((pl.Series(["a"], dtype=pl.Enum(["a"])), pl.Series(["b"])), pl.String()),
        ((pl.Series([None]), pl.Series(["b"])), pl.String()),
        ((pl.Series([DAY]).cast(pl.Datetime("ms")), pl.Series([DAY])), pl.Datetime("us")),
        ((pl.Series([DAY]).cast(pl.Datetime("ns")), pl.Series([DAY])), pl.Datetime("us")),
        ((pl.Series([[1]]), pl.Series([[2**40]])), pl.List(pl.Int64())),
        ((pl.Series([[1]]), pl.Series([[]], dtype=pl.List(pl.Null))), pl.List(pl.Int64())),
        ((pl.Series([1]), pl.Series([], dtype=pl.Int32), pl.Series([2.0])), pl.Float64()),
    ],
)
def test_parts_are_read_together(
    tmp_path: Path, parts: tuple[pl.Series, ...], dtype: pl.DataType
) -> None:
    values = _together(tmp_path, *parts)
    assert values.dtype == dtype
    assert values.to_list() == [value for part in parts for value in part.to_list()]


@pytest.mark.parametrize(
    "parts",
    [
        (pl.Series([1]), pl.Series(["1"])),
        (pl.Series([1], dtype=pl.UInt64), pl.Series([-1])),
        (pl.Series([DAY]), pl.Series([DAY]).dt.replace_time_zone("UTC")),
        (pl.Series([True]), pl.Series([1])),
    ],
)
def test_parts_of_different_meaning_are_refused(
    tmp_path: Path, parts: tuple[pl.Series, ...]
) -> None:
    with pytest.raises(DataError, match=r"column 'v' is .* but .* in"):
        _together(tmp_path, *parts)


def test_an_integer_that_a_float_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.parquet: column 'v' holds 9007199254740993, which"):
        _together(tmp_path, pl.Series([2**53 + 1]), pl.Series([1.0]))
