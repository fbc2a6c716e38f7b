"""Exact metrics of many rows in little memory: eight bytes a row, sorted in place, on disk.

The plain path is :func:`ctrkit.metrics.evaluate_logits`, which the tests hold this one against.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ctrkit.errors import DataError
from ctrkit.metrics import Reliability, sigmoid
from ctrkit.metrics.mapped import mapped_empty

BINS = 15
NORMAL_95 = 1.959963984540054
NAN = float("nan")
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Rows = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
_BLOCK = 1 << 16
_SIGN = np.uint32(1 << 31)
_LABEL = np.uint64(1 << 31)
_WEIGHT = np.uint64((1 << 31) - 1)
_LOGIT = np.uint64(32)


class Cells(NamedTuple):
    """Rows of equal logit together, ascending; (k,) each.

    Attributes:
        positive: Weight of the positive rows; ``negative`` of the others.
        positive2: Sum of the squared weights of the positive rows; ``negative2`` of the others.
    """

    logit: Floats
    positive: Floats
    negative: Floats
    positive2: Floats
    negative2: Floats


class SortedRows:
    """Rows by logit, a key each: order-preserving bits of the logit, label, bits of the weight."""

    def __init__(self, rows: int, parts: Iterable[Rows], shift: float = 0.0) -> None:
        """Sort rows.

        Args:
            rows: How many there are in all parts.
            parts: Labels (n,) of 0 and 1, logits (n,), weights (n,) at or above 0 (None: 1).
            shift: Is added to every logit.

        Raises:
            DataError: A logit is nan.
        """
        self.shift, self.rows, self.ones = shift, rows, 0
        self.weights = np.zeros(2)  # (2,) of negative, of positive rows
        self.keys: Keys = mapped_empty(rows, np.uint64)
        at = 0
        for label, logit, weight in parts:
            for cut in _blocks(0, len(logit)):
                part = None if weight is None else weight[cut]
                stop = at + len(logit[cut])
                self.keys[at:stop] = self._key(label[cut], logit[cut], part)
                at = stop
        assert at == rows, (at, rows)
        self.keys.sort()

    def _key(
        self, label: npt.NDArray[np.uint8], logit: npt.NDArray[np.float32], weight: Any
    ) -> Keys:
        assert logit.dtype == np.float32, logit.dtype
        logit = logit + np.float32(0)  # -0 ties with 0
        if np.isnan(logit).any():
            raise DataError("a logit is a number; some of the scores are nan")
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

    def metrics(self, intervals: bool = True) -> dict[str, Any]:
        """Return the metrics of :func:`judge` but those within groups."""
        zeros, ones = self.weights.tolist()
        total = zeros + ones
        won = lost = predicted = below = 0.0
        for c in self.cells():
            before = below + np.cumsum(c.negative) - c.negative / 2
            won += float(c.positive @ before)
            below += float(c.negative.sum())
            lost += float(
                c.positive @ np.logaddexp(0, -c.logit) + c.negative @ np.logaddexp(0, c.logit)
            )
            predicted += float((c.positive + c.negative) @ sigmoid(c.logit))
        area = won / (ones * zeros) if ones and zeros else NAN
        loss = lost / total if total else NAN
        table = self.reliability()
        gap = float(table.rows @ np.abs(table.predicted - table.observed)) / total if total else NAN
        found: dict[str, Any] = {
            "auc": area,
            "logloss": loss,
            "ne": self._normalised(loss),
            "calibration": predicted / ones if ones else NAN,
            "ece": gap,
            "rows": self.rows,
            "positives": self.ones,
        }
        return found | self._intervals(area, loss) if intervals else found

    def _normalised(self, loss: float) -> float:
        zeros, ones = self.weights.tolist()
        rate = ones / (zeros + ones) if zeros + ones else NAN
        if not 0 < rate < 1:
            return NAN
        return loss / -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))

    def _intervals(self, area: float, loss: float) -> dict[str, float]:
        """DeLong's interval of the AUC, the normal one of the mean loss; a second pass."""
        zeros, ones = self.weights.tolist()
        squares = [0.0, 0.0, 0.0]  # influence of positives, of negatives; losses
        negatives = positives = 0.0
        for c in self.cells():
            before = negatives + np.cumsum(c.negative) - c.negative / 2
            after = ones - (positives + np.cumsum(c.positive) - c.positive / 2)
            if ones and zeros:
                squares[0] += float(c.positive2 @ (before / zeros - area) ** 2) / ones**2
                squares[1] += float(c.negative2 @ (after / ones - area) ** 2) / zeros**2
            each = np.logaddexp(0, -c.logit), np.logaddexp(0, c.logit)
            squares[2] += float(
                c.positive2 @ (each[0] - loss) ** 2 + c.negative2 @ (each[1] - loss) ** 2
            )
            negatives += float(c.negative.sum())
            positives += float(c.positive.sum())
        n, n1, n0 = self.rows, self.ones, self.rows - self.ones
        reach = error = NAN
        if ones and zeros and n1 > 1 and n0 > 1:
            variance = squares[0] * n1 / (n1 - 1) + squares[1] * n0 / (n0 - 1)
            reach = NORMAL_95 * math.sqrt(variance)
        if n > 1 and not math.isnan(loss):
            error = NORMAL_95 * math.sqrt(squares[2] * n / (n - 1)) / float(ones + zeros)
        return {
            "auc_low": NAN if math.isnan(reach) else max(0.0, area - reach),
            "auc_high": NAN if math.isnan(reach) else min(1.0, area + reach),
            "logloss_low": loss - error,
            "logloss_high": loss + error,
        }

    def reliability(self) -> Reliability:
        """Return bins of equal counts, equal predictions together."""
        if not self.rows:
            return Reliability(*(np.zeros(0) for _ in range(3)))
        cuts = self.keys[np.arange(BINS) * self.rows // BINS] >> _LOGIT << _LOGIT
        starts = np.unique(np.searchsorted(self.keys, cuts, side="left"))
        stops = np.append(starts[1:], self.rows)
        sums = np.zeros((3, len(starts)))
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            for at in _blocks(int(start), int(stop)):
                keys = np.asarray(self.keys[at])
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
    for at in range(start, stop, _BLOCK):
        yield slice(at, min(at + _BLOCK, stop))
