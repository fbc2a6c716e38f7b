import numpy as np

from ctrkit.data.encode.real import Raw, Standard, log2
from ctrkit.data.encode.state import FieldState
from ctrkit.schema import Field


def test_log2_has_the_literature_values():
    z = np.array([-2, 0, 1, 2, 3, 4, 5, 6, 8, 10, 100, 1000, 1e6])
    assert log2(z).tolist() == [-2, 0, 1, 2, 1, 1, 2, 3, 4, 5, 21, 47, 190]


def test_a_constant_standardises_to_zero():
    encoder = Standard(Field("x", "numeric"), FieldState(mean=7.0, sd=0.0))
    assert encoder.read(np.array([7.0])).tolist() == [0.0]


def test_large_numbers_stay_finite():
    out = Raw(Field("x", "numeric", transform="raw")).read(np.array([1e308, -1e308, np.nan]))
    assert np.isfinite(out[:2]).all()
    assert np.isnan(out[2])
