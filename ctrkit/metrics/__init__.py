"""How good predictions are: exact AUC, log loss, calibration, their intervals and paired tests.

Everything takes labels (n,) of 0/1 and **logits** (n,), computes in float64, and accepts optional
row weights (n,). What is undefined on the rows at hand (no rows, one class only) is ``nan``,
without a warning. Intervals are two-sided and cover 95 % unless told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctrkit.errors import DataError

Floats = NDArray[np.float64]
NAN = float("nan")


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval."""

    value: float
    low: float
    high: float


class PairedTest(NamedTuple):
    """Second minus first, its standard error, z and two-sided p."""

    difference: float
    error: float
    z: float
    p: float


class GroupAuc(NamedTuple):
    """Mean AUC within groups, weighted by impressions; groups judged, groups of one class.

    ``weight`` is that of the judged groups' rows.
    """

    auc: float
    groups: int
    skipped: int
    weight: float = 0.0


class Reliability(NamedTuple):
    """Per bin of the predictions: rows, mean prediction, observed rate; each (bins,)."""

    rows: Floats
    predicted: Floats
    observed: Floats


def auc(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the exact area under the ROC curve; a tie counts one half; O(n log n)."""
    y, s, w = _arrays(label, logit, weight)
    return float(_group_aucs(y, s, w, np.zeros(len(y), np.int64))[0].sum()) if len(y) else NAN


def group_auc(
    label: ArrayLike, logit: ArrayLike, group: ArrayLike, weight: ArrayLike | None = None
) -> GroupAuc:
    """Return the AUC within each group, averaged by the groups' weight of rows.

    Groups with one class have no AUC: they are left out and counted.
    """
    y, s, w = _arrays(label, logit, weight)
    if not len(y):
        return GroupAuc(NAN, 0, 0)
    _, codes = np.unique(np.asarray(group), return_inverse=True)
    values, sizes = _group_aucs(y, s, w, codes.reshape(-1))
    known = ~np.isnan(values)
    skipped = int((~known).sum())
    if not known.any():
        return GroupAuc(NAN, 0, skipped)
    mean = float(np.average(values[known], weights=sizes[known]))
    return GroupAuc(mean, len(known) - skipped, skipped, float(sizes[known].sum()))


def losses(label: ArrayLike, logit: ArrayLike) -> Floats:
    """Return each row's log loss (n,), natural log: ``softplus(logit) - label * logit``."""
    y, s, _ = _arrays(label, logit, None)
    # log(1 + e^-m) with m the logit towards the row's own class: no probability, so no clipping.
    return np.logaddexp(0.0, np.where(y > 0, -s, s))


def logloss(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the mean log loss, natural log."""
    y, s, w = _arrays(label, logit, weight)
    return _mean(losses(y, s), w)


def normalised_entropy(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Return log loss over the entropy of the base rate: 1 is the constant prediction.

    Source: He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook".
    """
    y, s, w = _arrays(label, logit, weight)
    rate = _mean(y, w)
    if not 0 < rate < 1:
        return NAN
    return logloss(y, s, w) / -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))


def calibration(label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return predicted positives over observed ones; nan without positives."""
    y, s, w = _arrays(label, logit, weight)
    observed = float(y @ w)
    return float(sigmoid(s) @ w) / observed if observed else NAN


def reliability(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, bins: int = 15
) -> Reliability:
    """Return the table behind :func:`ece`: bins of equal counts, equal predictions together."""
    y, s, w = _arrays(label, logit, weight)
    if not len(y):
        return Reliability(*(np.zeros(0) for _ in range(3)))
    order = np.argsort(s, kind="stable")
    y, s, w = y[order], s[order], w[order]
    cuts = s[np.arange(bins) * len(s) // bins]
    starts = np.unique(np.searchsorted(s, cuts, side="left"))
    rows = np.add.reduceat(w, starts)
    starts, rows = starts[rows > 0], rows[rows > 0]
    if not len(rows):
        return Reliability(*(np.zeros(0) for _ in range(3)))
    predicted = np.add.reduceat(w * sigmoid(s), starts) / rows
    return Reliability(rows, predicted, np.add.reduceat(w * y, starts) / rows)


def ece(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, bins: int = 15
) -> float:
    """Return the expected calibration error over bins of equal counts."""
    table = reliability(label, logit, weight, bins)
    return _mean(np.abs(table.predicted - table.observed), table.rows)


def delong_interval(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, level: float = 0.95
) -> Interval:
    """Return the AUC with DeLong's interval, cut to [0, 1].

    Source: DeLong et al. 1988; ranks as in Sun and Xu 2014, O(n log n). Row weights enter the
    structural components and their variance.
    """
    y, s, w = _arrays(label, logit, weight)
    parts = _components(y, s, w)
    if parts is None:
        return Interval(NAN, NAN, NAN)
    value, influence = parts
    reach = _quantile(level) * math.sqrt(_variance(influence, y))
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def paired_auc_test(
    label: ArrayLike, first: ArrayLike, second: ArrayLike, weight: ArrayLike | None = None
) -> PairedTest:
    """Test two models' AUCs on the same rows (DeLong); equal predictions give p = 1."""
    y, a, w = _arrays(label, first, weight)
    one, two = _components(y, a, w), _components(y, _arrays(label, second, weight)[1], w)
    if one is None or two is None:
        return PairedTest(NAN, NAN, NAN, NAN)
    error = math.sqrt(_variance(two[1] - one[1], y))
    return _paired(two[0] - one[0], error)


def paired_logloss_test(
    label: ArrayLike, first: ArrayLike, second: ArrayLike, weight: ArrayLike | None = None
) -> PairedTest:
    """Test two models' log losses on the same rows by the rows' differences (normal)."""
    y, a, w = _arrays(label, first, weight)
    difference = losses(y, second) - losses(y, a)
    value, error = _mean(difference, w), _standard_error(difference, w)
    return _paired(value, error)


def logloss_interval(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None, level: float = 0.95
) -> Interval:
    """Return the log loss with the normal interval of a mean over rows."""
    y, s, w = _arrays(label, logit, weight)
    each = losses(y, s)
    value, reach = _mean(each, w), _quantile(level) * _standard_error(each, w)
    return Interval(value, value - reach, value + reach)


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
    y, s, w = _arrays(label, logit, weight)
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


class StreamingAuc:
    """AUC over any number of rows in flat memory: two histograms of logits, mergeable.

    Logits are cut to [-20, 20] and fall into 65536 bins of width 6.1e-4; rows of one bin tie.
    """

    BINS, LIMIT = 65_536, 20.0

    def __init__(self) -> None:
        self.counts = np.zeros((2, self.BINS))

    def update(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None = None) -> None:
        """Add rows."""
        y, s, w = _arrays(label, logit, weight)
        place = (np.clip(s, -self.LIMIT, self.LIMIT) + self.LIMIT) * (self.BINS / 2 / self.LIMIT)
        cell = np.minimum(place.astype(np.int64), self.BINS - 1) + self.BINS * (y > 0)
        self.counts += np.bincount(cell, w, 2 * self.BINS).reshape(2, self.BINS)

    def merge(self, other: StreamingAuc) -> StreamingAuc:
        """Add another's rows; return self."""
        self.counts += other.counts
        return self

    def value(self) -> float:
        """Return the AUC so far; nan until both classes were seen."""
        negative, positive = self.counts
        pairs = negative.sum() * positive.sum()
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / pairs) if pairs else NAN


def evaluate_logits(
    label: ArrayLike,
    logit: ArrayLike,
    weight: ArrayLike | None = None,
    group: ArrayLike | None = None,
) -> dict[str, Any]:
    """Judge predictions on one split.

    Returns:
        ``auc, logloss, ne, calibration, ece, rows, positives``, the 95 % intervals ``auc_low,
        auc_high, logloss_low, logloss_high``, and with ``group``: ``group_auc, groups,
        groups_skipped``. Undefined values are nan.
    """
    y, s, w = _arrays(label, logit, weight)
    area, loss = delong_interval(y, s, w), logloss_interval(y, s, w)
    result: dict[str, Any] = {
        "auc": area.value,
        "logloss": loss.value,
        "ne": normalised_entropy(y, s, w),
        "calibration": calibration(y, s, w),
        "ece": ece(y, s, w),
        "rows": len(y),
        "positives": int(y.sum()),
        "auc_low": area.low,
        "auc_high": area.high,
        "logloss_low": loss.low,
        "logloss_high": loss.high,
    }
    if group is not None:
        within = group_auc(y, s, group, w)
        result |= {
            "group_auc": within.auc,
            "groups": within.groups,
            "groups_skipped": within.skipped,
        }
    return result


def sigmoid(logit: ArrayLike) -> Floats:
    """Return probabilities, without overflow at any logit."""
    s = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(s))
    return np.where(s >= 0, 1.0, small) / (1.0 + small)


def _arrays(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    y, s = np.asarray(label, np.float64), np.asarray(logit, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if not y.shape == s.shape == w.shape:
        raise DataError(f"labels {y.shape}, logits {s.shape}, weights {w.shape} are of one length")
    if np.isnan(s).any():
        raise DataError(f"a logit is a number; {int(np.isnan(s).sum())} of {len(s)} are nan")
    return y, s, w


def _mean(values: Floats, weight: Floats) -> float:
    total = float(weight.sum())
    return float(values @ weight) / total if total else NAN


def _standard_error(values: Floats, weight: Floats) -> float:
    n, mean = len(values), _mean(values, weight)
    if n < 2 or math.isnan(mean) or math.isinf(mean):
        return NAN
    spread = float(((values - mean) * weight / weight.sum()) @ ((values - mean) * weight))
    return math.sqrt(spread / float(weight.sum()) * n / (n - 1))


def _group_aucs(y: Floats, s: Floats, w: Floats, group: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return each group's AUC (nan where one class) and weight; groups are 0..G-1, n > 0."""
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


def _components(y: Floats, s: Floats, w: Floats) -> tuple[float, Floats] | None:
    """Return the AUC and each row's influence on it (n,), or None without both classes."""
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


def _variance(influence: Floats, y: Floats) -> float:
    """Return DeLong's variance: the two classes' sums of squares, each by n / (n - 1)."""
    total = 0.0
    for rows in (y > 0, y == 0):
        n = int(rows.sum())
        total += float(influence[rows] @ influence[rows]) * (n / (n - 1) if n > 1 else NAN)
    return total


def _paired(difference: float, error: float) -> PairedTest:
    if math.isnan(difference) or math.isnan(error):
        return PairedTest(difference, error, NAN, NAN)
    if error == 0:
        z = 0.0 if difference == 0 else math.copysign(math.inf, difference)
    else:
        z = difference / error
    return PairedTest(difference, error, z, math.erfc(abs(z) / math.sqrt(2)))


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
