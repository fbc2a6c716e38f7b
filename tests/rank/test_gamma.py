"""The Gamma tail against scipy."""

import numpy as np
import pytest
from scipy.special import gammaincc, gammaincinv, gammaln

from ctrkit.rank.gamma import log_gamma, quantile, upper_tail


@pytest.mark.parametrize("shape", [0.01, 0.5, 1.0, 7.3, 400.0, 2e4, 3e6])
def test_the_tail_is_scipys(shape):
    for z in (-8, -3, -1, -0.1, 0, 0.1, 1, 3, 6, 12, 40):
        x = shape + z * np.sqrt(shape)
        if x > 0:
            assert upper_tail(shape, x) == pytest.approx(gammaincc(shape, x), rel=1e-8, abs=1e-12)


def test_ends():
    assert upper_tail(3.0, 0.0) == 1.0
    assert upper_tail(3.0, -1.0) == 1.0
    assert upper_tail(3.0, 1e6) == 0.0


@pytest.mark.parametrize("shape", [0.5, 1.0, 5.0, 300.0, 1e5])
def test_the_quantile_is_near(shape):
    for level in (0.025, 0.5, 0.975):
        near, exact = quantile(shape, level), gammaincinv(shape, level)
        assert near == pytest.approx(exact, rel=0.02, abs=0.03)


def test_log_gamma_is_elementwise():
    x = np.array([[0.5, 3.0], [1e5, 7.25]])
    np.testing.assert_allclose(log_gamma(x), gammaln(x), rtol=1e-14)
