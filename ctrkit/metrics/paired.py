"""Paired tests: two models on the same rows."""

from __future__ import annotations

import math
from typing import NamedTuple

from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import NAN, as_arrays, standard_error, weighted_mean
from ctrkit.metrics.auc import auc_components, delong_variance
from ctrkit.metrics.losses import losses


class PairedTest(NamedTuple):
    """Metric of the second model minus that of the first.

    Attributes:
        difference: Second minus first.
        error: Standard error of the difference.
        z: Difference divided by its standard error.
        p: Two-sided p-value.
    """

    difference: float
    error: float
    z: float
    p: float


def paired_auc_test(
    label: ArrayLike, first: ArrayLike, second: ArrayLike, weight: ArrayLike | None = None
) -> PairedTest:
    """Test the AUCs of two models on the same rows (DeLong); equal predictions give p = 1."""
    y, a, w = as_arrays(label, first, weight)
    one, two = auc_components(y, a, w), auc_components(y, as_arrays(label, second, weight)[1], w)
    if one is None or two is None:
        return PairedTest(NAN, NAN, NAN, NAN)
    error = math.sqrt(delong_variance(two[1] - one[1], y))
    return _paired(two[0] - one[0], error)


def paired_logloss_test(
    label: ArrayLike, first: ArrayLike, second: ArrayLike, weight: ArrayLike | None = None
) -> PairedTest:
    """Test the log losses of two models on the same rows by their differences (normal)."""
    y, a, w = as_arrays(label, first, weight)
    difference = losses(y, second) - losses(y, a)
    return _paired(weighted_mean(difference, w), standard_error(difference, w))


def _paired(difference: float, error: float) -> PairedTest:
    if math.isnan(difference) or math.isnan(error):
        return PairedTest(difference, error, NAN, NAN)
    if error == 0:
        z = 0.0 if difference == 0 else math.copysign(math.inf, difference)
    else:
        z = difference / error
    return PairedTest(difference, error, z, math.erfc(abs(z) / math.sqrt(2)))
