import numpy as np
import polars as pl
import pytest

from ctrkit.data import numeric
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
        numeric.to_numbers(pl.Series("x", ["1", "", "abc"]))


def test_a_constant_standardises_to_zero():
    assert numeric.real_numbers(np.array([7.0]), "standard", 7.0, 0.0).tolist() == [0.0]
