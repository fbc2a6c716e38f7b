"""Calibration: predicted against observed positives, overall and by bins of predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import NAN, as_arrays, sigmoid, weighted_mean
from ctrkit.metrics.base import Metric
from ctrkit.metrics.bins import Reliability
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.registry import register


@register("metric", "calibration")
class Calibration(Metric):
    """Predicted positives divided by observed ones."""

    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the ratio; nan without positives."""
        return calibration(label, logit, weight)

    def of_sorted(self, rows: SortedRows) -> float:
        """Return the ratio; nan without positives."""
        positives = float(rows.weights[1])
        return rows.sums.predicted / positives if positives else NAN


@register("metric", "ece")
class ExpectedCalibrationError(Metric):
    """Mean distance of observed rates from predictions, over bins of equal counts."""

    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the error over 15 bins."""
        return ece(label, logit, weight)

    def of_sorted(self, rows: SortedRows) -> float:
        """Return the error over 15 bins."""
        total = float(rows.weights.sum())
        bins = rows.reliability()
        distance = np.abs(bins.predicted - bins.observed)
        return float(bins.rows @ distance) / total if total else NAN


def calibration(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return predicted positives divided by observed ones; nan without positives."""
    y, s, w = as_arrays(label, logit, weight)
    observed = float(y @ w)
    return float(sigmoid(s) @ w) / observed if observed else NAN


def reliability(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, bins: int = 15
) -> Reliability:
    """Return the table behind :func:`ece`: bins of equal counts, equal predictions in one bin."""
    y, s, w = as_arrays(label, logit, weight)
    if not len(y):
        return Reliability.empty()
    order = np.argsort(s, kind="stable")
    y, s, w = y[order], s[order], w[order]
    cuts = s[np.arange(bins) * len(s) // bins]
    starts = np.unique(np.searchsorted(s, cuts, side="left"))
    rows = np.add.reduceat(w, starts)
    starts, rows = starts[rows > 0], rows[rows > 0]
    if not len(rows):
        return Reliability.empty()
    predicted = np.add.reduceat(w * sigmoid(s), starts) / rows
    return Reliability(rows, predicted, np.add.reduceat(w * y, starts) / rows)


def ece(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, bins: int = 15
) -> float:
    """Return the expected calibration error over bins of equal counts."""
    table = reliability(label, logit, weight, bins)
    return weighted_mean(np.abs(table.predicted - table.observed), table.rows)
