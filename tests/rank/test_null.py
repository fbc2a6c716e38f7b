"""The null by count, against scipy, scikit-learn and true permutations."""

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from ctrkit.rank.null import Null, expected_xlogx, probabilities, xlogx

ROWS = 2000


def labels(classes, seed=0):
    shares = np.array([0.6, 0.25, 0.1, 0.05])[:classes]
    return np.random.default_rng(seed).choice(classes, ROWS, p=shares / shares.sum())


def mutual_information(x, y):
    classes = int(y.max()) + 1
    counts = np.bincount(x * classes + y, minlength=(int(x.max()) + 1) * classes)
    counts = counts.reshape(-1, classes)
    entropy = np.log(ROWS) - xlogx(counts.sum(0)).sum() / ROWS
    return entropy + (xlogx(counts).sum() - xlogx(counts.sum(1)).sum()) / ROWS


def null_of(x, y):
    null = Null(np.bincount(y))
    m = np.bincount(x)
    m = m[m > 0]
    moments = null.moments(m)
    emi = null.entropy + (moments.expected.sum() - xlogx(m).sum()) / ROWS
    factor = (ROWS - 1) / np.maximum(ROWS - m, 1)
    slope = moments.covariance.sum(axis=0)
    spread = (moments.spread * factor[:, None, None]).sum(axis=0)
    rest = slope @ np.linalg.solve(spread, slope)
    return emi, np.sqrt(moments.variance.sum() - rest) / ROWS


def test_probabilities_are_scipys():
    m = np.array([1, 2, 50, 600, 999, 1000])
    seen = 0
    for at, k, pmf in probabilities(1000, np.full(len(m), 270), m):
        for row, place in enumerate(at):
            expected = hypergeom(1000, 270, m[place]).pmf(k[row])
            np.testing.assert_allclose(pmf[row], expected, atol=1e-14)
            assert pmf[row].sum() == pytest.approx(1, abs=1e-14)
            seen += 1
    assert seen == len(m)


def test_one_row_and_all_rows_are_certain():
    assert expected_xlogx(10, np.array([4, 4]), np.array([1, 10])).tolist() == pytest.approx(
        [0.0, 4 * np.log(4)]
    )


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("size", [2, 17, 300, ROWS])
def test_expectation_is_scikit_learns_and_both_moments_are_permutations(classes, size):
    y = labels(classes)
    draw = np.random.default_rng(1)
    x = draw.integers(0, size, ROWS)
    emi, sd = null_of(x, y)
    assert emi == pytest.approx(
        expected_mutual_information(contingency_matrix(x, y), ROWS), abs=1e-9
    )
    times = 2000 if size == 2 else 200  # a heavy tail: its spread needs more permutations
    permuted = [mutual_information(x, draw.permutation(y)) for _ in range(times)]
    assert abs(np.mean(permuted) - emi) < 4 * np.std(permuted) / np.sqrt(times)
    assert 0.85 < sd / np.std(permuted) < 1.15


def test_a_unique_value_per_row_tells_nothing():
    null = Null(np.array([1500, 500]))
    moments = null.moments(np.ones(1, np.int64))
    assert moments.expected.tolist() == [0.0]
    assert moments.variance[0] >= 0


def test_a_large_table_keeps_its_digits():
    """At N = 1e9 differences of log-gammas would lose them; the ratio recurrence does not."""
    mean = 1e9 * 0.001 * 0.5
    got = expected_xlogx(10**9, np.array([10**6]), np.array([5 * 10**8]))[0]
    spread = mean * 0.999 * 0.5
    expected = mean * np.log(mean) + spread / (2 * mean)
    assert got == pytest.approx(expected, rel=1e-9)
