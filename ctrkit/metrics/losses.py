"""Log loss and normalized entropy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import NAN, Floats, as_arrays, standard_error, weighted_mean
from ctrkit.metrics.base import Metric
from ctrkit.metrics.intervals import Interval, quantile
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.registry import register


@register("metric", "logloss")
class LogLoss(Metric):
    """Mean log loss, natural logarithm."""

    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the mean."""
        return logloss(label, logit, weight)

    def of_sorted(self, rows: SortedRows) -> float:
        """Return the mean."""
        return rows.logloss

    def interval_of_rows(
        self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None
    ) -> Interval:
        """Return the normal interval of a mean."""
        return logloss_interval(label, logit, weight)

    def interval_of_sorted(self, rows: SortedRows) -> Interval:
        """Return the normal interval of a mean."""
        return rows.logloss_interval()


@register("metric", "ne", paper="He et al., ADKDD 2014")
class NormalisedEntropy(Metric):
    """Log loss divided by the entropy of the base rate: 1 is the constant prediction."""

    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the ratio."""
        return normalised_entropy(label, logit, weight)

    def of_sorted(self, rows: SortedRows) -> float:
        """Return the ratio."""
        negatives, positives = rows.weights.tolist()
        total = negatives + positives
        return _normalised(rows.logloss, positives / total if total else NAN)


def losses(label: ArrayLike, logit: ArrayLike) -> Floats:
    """Return the log loss of each row (n,): ``softplus(logit) - label * logit``."""
    y, s, _ = as_arrays(label, logit, None)
    # log(1 + e^-m) with m the logit towards the row's own class: no probability, so no clipping.
    return np.logaddexp(0.0, np.where(y > 0, -s, s))


def logloss(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the mean log loss, natural logarithm."""
    y, s, w = as_arrays(label, logit, weight)
    return weighted_mean(losses(y, s), w)


def logloss_interval(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, level: float = 0.95
) -> Interval:
    """Return the log loss with the normal interval of a mean over rows."""
    y, s, w = as_arrays(label, logit, weight)
    of_rows = losses(y, s)
    value, reach = weighted_mean(of_rows, w), quantile(level) * standard_error(of_rows, w)
    return Interval(value, value - reach, value + reach)


def normalised_entropy(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Return log loss divided by the entropy of the base rate: 1 is the constant prediction.

    Source: He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook".
    """
    y, s, w = as_arrays(label, logit, weight)
    return _normalised(logloss(y, s, w), weighted_mean(y, w))


def _normalised(loss: float, rate: float) -> float:
    if not 0 < rate < 1:
        return NAN
    return loss / -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))
