"""Files that differ in width, unit or by missing values are read together, values unchanged."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
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


def _decimals(text: str, scale: int) -> pl.Series:
    return pl.Series([Decimal(text), None], dtype=pl.Decimal(12, scale))


def _arrays(values: list[int], inner: pl.DataType) -> pl.Series:
    return pl.Series([values, None], dtype=pl.Array(inner, len(values)))


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
        ((_decimals("1.50", 2), pl.Series([3])), pl.Decimal(38, 2)),
        ((_decimals("1.50", 2), _decimals("-2.125", 3)), pl.Decimal(38, 3)),
        ((_decimals("0.5", 1), pl.Series([2.0, None])), pl.Float64()),
        ((_arrays([1, 2], pl.Int8()), _arrays([3, 400], pl.Int64())), pl.Array(pl.Int64(), 2)),
        ((_arrays([1, 2], pl.Int8()), _arrays([3], pl.Int8())), pl.List(pl.Int8())),
        ((_arrays([1, 2], pl.Int8()), pl.Series([[5], None])), pl.List(pl.Int64())),
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
        (_decimals("1.5", 1), pl.Series(["1.5"])),
        (pl.Series([1], dtype=pl.Decimal(38, 0)), pl.Series([0], dtype=pl.Decimal(38, 38))),
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
    large = pl.Series([Decimal(2**53 + 1)], dtype=pl.Decimal(20, 2))
    with pytest.raises(
        DataError, match=r"0\.parquet: column 'v' holds 9007199254740993\.00, which"
    ):
        _together(tmp_path, large, pl.Series([1.0]))


def test_an_integer_of_a_list_that_a_float_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.parquet: column 'v' holds 9007199254740993, which"):
        _together(tmp_path, pl.Series([[1, 2**53 + 1], [], None]), pl.Series([[1.0]]))
