import numpy as np
import pytest

from ctrkit.data.encode.histogram import cells, lower_bounds, moments, representatives


def test_cells_keep_the_order_and_small_integers():
    z = np.sort(np.random.default_rng(0).normal(size=1000) * 1e3)
    cell = cells(z)
    assert (np.diff(cell.astype(np.int64)) >= 0).all()
    assert (lower_bounds(cell) <= z).all()
    small = np.arange(-200.0, 201.0)
    assert representatives(cells(small)).tolist() == small.tolist()


def test_moments_of_small_integers_are_exact():
    z = np.random.default_rng(0).integers(-100, 100, 10_000).astype(np.float64)
    cell, count = np.unique(cells(z), return_counts=True)
    mean, sd = moments(cell, count)
    assert mean == pytest.approx(z.mean(), abs=1e-9)
    assert sd == pytest.approx(z.std(), rel=1e-9)
    assert moments(cell[:0], count[:0]) == (0.0, 0.0)
