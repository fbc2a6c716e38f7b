import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.encode import numeric
from ctrkit.errors import DataError


def test_log2_has_the_literature_values():
    z = np.array([-2, 0, 1, 2, 3, 4, 5, 6, 8, 10, 100, 1000, 1e6])
    assert numeric.log2(z).tolist() == [-2, 0, 1, 2, 1, 1, 2, 3, 4, 5, 21, 47, 190]


def test_cells_keep_the_order_and_small_integers():
    z = np.sort(np.random.default_rng(0).normal(size=1000) * 1e3)
    cell = numeric.cells(z)
    assert (np.diff(cell.astype(np.int64)) >= 0).all()
    assert (numeric.lower_bounds(cell) <= z).all()
    small = np.arange(-200.0, 201.0)
    assert numeric.representatives(numeric.cells(small)).tolist() == small.tolist()


def test_quantile_codes_start_at_three_and_missing_is_zero():
    edges = numeric.quantile_edges(numeric.cells(np.arange(1.0, 5.0)), np.ones(4, np.int64), bins=4)
    assert edges == (2.0, 3.0, 4.0)
    assert numeric.bucket_codes(np.array([0, 2, 9, np.nan]), edges).tolist() == [3, 4, 6, 0]


def test_text_that_is_no_number_is_told():
    with pytest.raises(DataError, match=r"'x'.*'abc'"):
        to_numbers(pl.Series("x", ["1", "", "abc"]))


def test_a_constant_standardises_to_zero():
    assert numeric.real_numbers(np.array([7.0]), "standard", 7.0, 0.0).tolist() == [0.0]


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


def test_moments_of_small_integers_are_exact():
    z = np.random.default_rng(0).integers(-100, 100, 10_000).astype(np.float64)
    cell, count = np.unique(numeric.cells(z), return_counts=True)
    mean, sd = numeric.moments(cell, count)
    assert mean == pytest.approx(z.mean(), abs=1e-9)
    assert sd == pytest.approx(z.std(), rel=1e-9)
    assert numeric.moments(cell[:0], count[:0]) == (0.0, 0.0)


def test_edges_of_nothing_and_of_ties():
    none = np.zeros(0, np.uint32)
    assert numeric.quantile_edges(none, none.astype(np.int64), 8) == ()
    cell = numeric.cells(np.array([0.0, 1.0]))
    assert numeric.quantile_edges(cell, np.array([999, 1]), 8) == ()
    assert numeric.quantile_edges(cell, np.array([1, 999]), 8) == (1.0,)


def test_log_categories_are_integers_in_text():
    z = np.array([-3.7, 0.5, 100.0, np.nan, 1e300])
    assert numeric.log_category(z, "log2").to_list() == ["-3", "0", "21", None, "477170"]
    floor = np.floor(np.sign(z) * np.log1p(np.abs(z)) ** 2)
    expected = [None if np.isnan(f) else str(int(f)) for f in floor]
    assert numeric.log_category(z, "log2_monotone").to_list() == expected


def test_large_numbers_stay_finite():
    out = numeric.real_numbers(np.array([1e308, -1e308, np.nan]), "raw")
    assert np.isfinite(out[:2]).all()
    assert np.isnan(out[2])
