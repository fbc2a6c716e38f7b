"""Area under the ROC curve, with DeLong's interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctrkit.metrics.arrays import NAN, Floats, as_arrays
from ctrkit.metrics.base import Metric
from ctrkit.metrics.intervals import Interval, quantile
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.registry import register


@register("metric", "auc")
class Auc(Metric):
    """Probability that a positive row scores above a negative one; a tie counts one half."""

    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the exact area."""
        return delong_interval(label, logit, weight).value

    def of_sorted(self, rows: SortedRows) -> float:
        """Return the exact area."""
        return rows.auc

    def interval_of_rows(
        self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None
    ) -> Interval:
        """Return DeLong's interval."""
        return delong_interval(label, logit, weight)

    def interval_of_sorted(self, rows: SortedRows) -> Interval:
        """Return DeLong's interval."""
        return rows.auc_interval()


def auc(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the exact area under the ROC curve; a tie counts one half; O(n log n)."""
    y, s, w = as_arrays(label, logit, weight)
    return float(aucs_by_group(y, s, w, np.zeros(len(y), np.int64))[0].sum()) if len(y) else NAN


def aucs_by_group(
    y: Floats, s: Floats, w: Floats, group: NDArray[np.integer]
) -> tuple[Floats, Floats]:
    """Return the AUC of each group (nan where one class), and its weight.

    Args:
        y: (n,) labels, n > 0.
        s: (n,) logits.
        w: (n,) weights.
        group: (n,) groups 0..G-1.
    """
    order = np.lexsort((s, group))
    y, s, w, group = y[order], s[order], w[order], group[order]
    new_group = np.r_[True, group[1:] != group[:-1]]
    starts = np.flatnonzero(new_group | np.r_[True, s[1:] != s[:-1]])
    positive, negative = np.add.reduceat(w * y, starts), np.add.reduceat(w * (1 - y), starts)
    owner = group[starts]
    positives, negatives = np.bincount(owner, positive), np.bincount(owner, negative)
    before = np.cumsum(negative) - negative / 2 - (np.cumsum(negatives) - negatives)[owner]
    pairs = positives * negatives
    won = np.bincount(owner, positive * before)
    values = np.divide(won, pairs, out=np.full(len(pairs), NAN), where=pairs > 0)
    sizes: Floats = np.asarray(positives + negatives, np.float64)
    return values, sizes


def delong_interval(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, level: float = 0.95
) -> Interval:
    """Return the AUC with DeLong's interval, cut to [0, 1].

    Source: DeLong et al. 1988; ranks as in Sun and Xu 2014, O(n log n). Row weights enter the
    structural components and their variance.
    """
    y, s, w = as_arrays(label, logit, weight)
    components = auc_components(y, s, w)
    if components is None:
        return Interval(NAN, NAN, NAN)
    value, influence = components
    reach = quantile(level) * math.sqrt(delong_variance(influence, y))
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def auc_components(y: Floats, s: Floats, w: Floats) -> tuple[float, Floats] | None:
    """Return the AUC and the influence of each row on it (n,), or None without both classes."""
    total = np.array([w @ (1 - y), w @ y])
    if len(y) == 0 or not (total > 0).all():
        return None
    _, cell = np.unique(s, return_inverse=True)
    cell = cell.reshape(-1)
    positive, negative = np.bincount(cell, w * y), np.bincount(cell, w * (1 - y))
    below = (np.cumsum(negative) - negative / 2)[cell] / total[0]
    above = 1 - (np.cumsum(positive) - positive / 2)[cell] / total[1]
    value = float((w * y) @ below) / float(total[1])
    share = np.where(y > 0, w / total[1], w / total[0])
    return value, share * (np.where(y > 0, below, above) - value)


def delong_variance(influence: Floats, y: Floats) -> float:
    """Return DeLong's variance: the sums of squares of both classes, each by n / (n - 1)."""
    total = 0.0
    for rows in (y > 0, y == 0):
        n = int(rows.sum())
        total += float(influence[rows] @ influence[rows]) * (n / (n - 1) if n > 1 else NAN)
    return total
