"""Confidence intervals, and the bootstrap interval of any metric."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import NAN, as_arrays


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval."""

    value: float
    low: float
    high: float


def quantile(level: float) -> float:
    """Return the half width, in standard errors, of a two-sided normal interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


def bootstrap_interval(
    metric: Callable[..., float],
    label: ArrayLike,
    logit: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    samples: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return ``metric(label, logit, weight)`` with its percentile interval over resampled rows."""
    y, s, w = as_arrays(label, logit, weight)
    if not len(y):
        return Interval(NAN, NAN, NAN)
    generator = np.random.default_rng(seed)
    values = np.empty(samples)
    for i in range(samples):
        rows = generator.integers(0, len(y), len(y))
        values[i] = metric(y[rows], s[rows], w[rows])
    values = values[~np.isnan(values)]
    if not len(values):
        return Interval(metric(y, s, w), NAN, NAN)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(metric(y, s, w), float(low), float(high))
