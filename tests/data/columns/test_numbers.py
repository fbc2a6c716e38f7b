import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.errors import DataError


def test_text_that_is_no_number_is_told():
    with pytest.raises(DataError, match=r"'x'.*'abc'"):
        to_numbers(pl.Series("x", ["1", "", "abc"]))


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("x", ["1.5", " -2 ", "", None]),
        pl.Series("x", ["1.5", "-2", None, None], dtype=pl.Categorical),
        pl.Series("x", [1.5, -2.0, float("nan"), float("inf")], dtype=pl.Float32),
        pl.Series("x", ["1.5", "-2.0", None, None]).cast(pl.Decimal(6, 1)),
    ],
    ids=lambda s: str(s.dtype),
)
def test_many_types_are_numbers(values):
    np.testing.assert_array_equal(to_numbers(values), [1.5, -2, np.nan, np.nan])


def test_lists_are_no_numbers_and_minus_zero_is_zero():
    with pytest.raises(DataError, match="must hold numbers; got List"):
        to_numbers(pl.Series("x", [[1.0]]))
    assert not np.signbit(to_numbers(pl.Series([-0.0]))).any()


@pytest.mark.parametrize("dtype", [pl.Duration, pl.Datetime])
def test_times_are_microseconds_whatever_their_unit(dtype):
    for unit in ("ms", "us", "ns"):
        values = pl.Series([0, 1_500_000, None]).cast(dtype("us")).cast(dtype(unit))
        np.testing.assert_array_equal(to_numbers(values), [0, 1.5e6, np.nan])
