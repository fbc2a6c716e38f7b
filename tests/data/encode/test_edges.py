import numpy as np

from ctrkit.data.encode.edges import bucket_codes, quantile_edges
from ctrkit.data.encode.histogram import cells


def test_quantile_codes_start_at_three_and_missing_is_zero():
    edges = quantile_edges(cells(np.arange(1.0, 5.0)), np.ones(4, np.int64), bins=4)
    assert edges == (2.0, 3.0, 4.0)
    assert bucket_codes(np.array([0, 2, 9, np.nan]), edges).tolist() == [3, 4, 6, 0]


def test_edges_of_nothing_and_of_ties():
    none = np.zeros(0, np.uint32)
    assert quantile_edges(none, none.astype(np.int64), 8) == ()
    cell = cells(np.array([0.0, 1.0]))
    assert quantile_edges(cell, np.array([999, 1]), 8) == ()
    assert quantile_edges(cell, np.array([1, 999]), 8) == (1.0,)
