"""Many scored rows in little memory: eight bytes a row, sorted in place, on disk.

Metrics of these rows equal those of rows in memory (:func:`ctrkit.metrics.evaluate_logits`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ctrkit.errors import DataError
from ctrkit.metrics.arrays import NAN, Floats, sigmoid
from ctrkit.metrics.bins import Reliability
from ctrkit.metrics.intervals import Interval
from ctrkit.metrics.mapped import mapped_empty

BINS = 15
NORMAL_95 = 1.959963984540054
Keys = npt.NDArray[np.uint64]
Rows = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
_BLOCK = 1 << 16
_SIGN = np.uint32(1 << 31)
_LABEL = np.uint64(1 << 31)
_WEIGHT = np.uint64((1 << 31) - 1)
_LOGIT = np.uint64(32)


class Cells(NamedTuple):
    """Rows grouped by equal logit, ascending; (k,) each.

    Attributes:
        logit: Logit of the rows.
        positive: Weight of the positive rows.
        negative: Weight of the negative rows.
        positive2: Sum of the squared weights of the positive rows.
        negative2: Sum of the squared weights of the negative rows.
    """

    logit: Floats
    positive: Floats
    negative: Floats
    positive2: Floats
    negative2: Floats


class Sums(NamedTuple):
    """Weighted sums over the rows.

    Attributes:
        won: Pairs of a positive and a negative row in the right order; ties count one half.
        lost: Log loss.
        predicted: Predicted positives.
    """

    won: float
    lost: float
    predicted: float


class SortedRows:
    """Rows sorted by logit, a key each: order-preserving bits of the logit, label, weight bits.

    Attributes:
        rows: Number of rows.
        ones: Number of positive rows.
        weights: (2,) total weight of the negative and of the positive rows.
        shift: Added to every logit.
    """

    def __init__(self, rows: int, parts: Iterable[Rows], shift: float = 0.0) -> None:
        """Sort rows.

        Args:
            rows: Number of rows in all parts.
            parts: Labels (n,) of 0 and 1, logits (n,), weights (n,) from 0 (None: ones).
            shift: Added to every logit.

        Raises:
            DataError: A logit is nan.
        """
        self.shift, self.rows, self.ones = shift, rows, 0
        self.weights = np.zeros(2)  # (2,) of negative, of positive rows
        self.keys: Keys = mapped_empty(rows, np.uint64)
        start = 0
        for label, logit, weight in parts:
            for block in _blocks(0, len(logit)):
                of_block = None if weight is None else weight[block]
                stop = start + len(logit[block])
                self.keys[start:stop] = self._key(label[block], logit[block], of_block)
                start = stop
        assert start == rows, (start, rows)
        self.keys.sort()

    def _key(
        self, label: npt.NDArray[np.uint8], logit: npt.NDArray[np.float32], weight: Any
    ) -> Keys:
        assert logit.dtype == np.float32, logit.dtype
        logit = logit + np.float32(0)  # -0 ties with 0
        if np.isnan(logit).any():
            raise DataError("logits must be numbers; some are nan")
        w = np.ones(len(logit), np.float32) if weight is None else np.abs(weight)  # -0 is 0
        one = label > 0
        self.ones += int(one.sum())
        self.weights += [w[~one].sum(dtype=np.float64), w[one].sum(dtype=np.float64)]
        bits = logit.view(np.uint32)
        ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.uint64)
        key: Keys = (ordered << _LOGIT) | w.view(np.uint32)
        key[one] |= _LABEL
        return key

    def _logits(self, keys: Keys) -> Floats:
        ordered = (keys >> _LOGIT).astype(np.uint32)
        bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
        return bits.view(np.float32).astype(np.float64) + self.shift

    def cells(self) -> Iterator[Cells]:
        """Yield the cells, some thousands at a time."""
        start = 0
        while start < self.rows:
            stop = min(start + _BLOCK, self.rows)
            if stop < self.rows:  # a cell ends where the next logit begins
                after = (self.keys[stop - 1] >> _LOGIT) + np.uint64(1) << _LOGIT
                stop = int(np.searchsorted(self.keys, after, side="left"))
            keys = np.asarray(self.keys[start:stop])
            values = keys >> _LOGIT
            first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
            weight, one = _weights(keys), _labels(keys)
            sums = (
                np.add.reduceat(v, first)
                for v in (weight * one, weight * (1 - one), weight**2 * one, weight**2 * (1 - one))
            )
            yield Cells(self._logits(keys[first]), *sums)
            start = stop

    @cached_property
    def sums(self) -> Sums:
        """Sums over the rows; one pass over the cells."""
        won = lost = predicted = below = 0.0
        for c in self.cells():
            before = below + np.cumsum(c.negative) - c.negative / 2
            won += float(c.positive @ before)
            below += float(c.negative.sum())
            lost += float(
                c.positive @ np.logaddexp(0, -c.logit) + c.negative @ np.logaddexp(0, c.logit)
            )
            predicted += float((c.positive + c.negative) @ sigmoid(c.logit))
        return Sums(won, lost, predicted)

    @property
    def auc(self) -> float:
        """Area under the ROC curve; nan without both classes."""
        zeros, ones = self.weights.tolist()
        return self.sums.won / (ones * zeros) if ones and zeros else NAN

    @property
    def logloss(self) -> float:
        """Mean log loss; nan without rows."""
        total = sum(self.weights.tolist())
        return self.sums.lost / total if total else NAN

    @cached_property
    def squares(self) -> tuple[float, float, float]:
        """Sums of squares: influence of positives and of negatives on the AUC, and losses.

        A second pass over the cells.
        """
        area, loss = self.auc, self.logloss
        zeros, ones = self.weights.tolist()
        of_ones = of_zeros = of_losses = negatives = positives = 0.0
        for c in self.cells():
            before = negatives + np.cumsum(c.negative) - c.negative / 2
            after = ones - (positives + np.cumsum(c.positive) - c.positive / 2)
            if ones and zeros:
                of_ones += float(c.positive2 @ (before / zeros - area) ** 2) / ones**2
                of_zeros += float(c.negative2 @ (after / ones - area) ** 2) / zeros**2
            to_one, to_zero = np.logaddexp(0, -c.logit), np.logaddexp(0, c.logit)
            of_losses += float(
                c.positive2 @ (to_one - loss) ** 2 + c.negative2 @ (to_zero - loss) ** 2
            )
            negatives += float(c.negative.sum())
            positives += float(c.positive.sum())
        return of_ones, of_zeros, of_losses

    def auc_interval(self) -> Interval:
        """Return DeLong's 95 % interval of the AUC."""
        zeros, ones = self.weights.tolist()
        area, n1, n0 = self.auc, self.ones, self.rows - self.ones
        if not (ones and zeros and n1 > 1 and n0 > 1):
            return Interval(area, NAN, NAN)
        variance = self.squares[0] * n1 / (n1 - 1) + self.squares[1] * n0 / (n0 - 1)
        reach = NORMAL_95 * math.sqrt(variance)
        return Interval(area, max(0.0, area - reach), min(1.0, area + reach))

    def logloss_interval(self) -> Interval:
        """Return the normal 95 % interval of the mean log loss."""
        loss, n = self.logloss, self.rows
        if n < 2 or math.isnan(loss):
            return Interval(loss, NAN, NAN)
        total = float(self.weights.sum())
        error = NORMAL_95 * math.sqrt(self.squares[2] * n / (n - 1)) / total
        return Interval(loss, loss - error, loss + error)

    def reliability(self) -> Reliability:
        """Return bins of equal counts, equal predictions in one bin."""
        if not self.rows:
            return Reliability.empty()
        cuts = self.keys[np.arange(BINS) * self.rows // BINS] >> _LOGIT << _LOGIT
        starts = np.unique(np.searchsorted(self.keys, cuts, side="left"))
        stops = np.append(starts[1:], self.rows)
        sums = np.zeros((3, len(starts)))
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            for block in _blocks(int(start), int(stop)):
                keys = np.asarray(self.keys[block])
                weight = _weights(keys)
                sums[0, i] += weight.sum()
                sums[1, i] += weight @ sigmoid(self._logits(keys))
                sums[2, i] += weight @ _labels(keys)
        rows, predicted, observed = sums[:, sums[0] > 0]
        return Reliability(rows, predicted / rows, observed / rows)


def _labels(keys: Keys) -> Floats:
    return ((keys & _LABEL) > 0).astype(np.float64)


def _weights(keys: Keys) -> Floats:
    return (keys & _WEIGHT).astype(np.uint32).view(np.float32).astype(np.float64)


def _blocks(start: int, stop: int) -> Iterator[slice]:
    for first in range(start, stop, _BLOCK):
        yield slice(first, min(first + _BLOCK, stop))
