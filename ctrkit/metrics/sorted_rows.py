"""Exact metrics of many rows in little memory: eight bytes a row, sorted in place.

The plain path is :func:`ctrkit.metrics.evaluate_logits`, which the tests hold this one against.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrkit.errors import DataError
from ctrkit.metrics import Reliability, sigmoid

BINS = 15
NORMAL_95 = 1.959963984540054
NAN = float("nan")
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
_BLOCK = 1 << 16
_SIGN = np.uint32(1 << 31)


class SortedRows:
    """Rows by logit: the order-preserving bits of the logit, then the label as the last bit."""

    def __init__(
        self, label: npt.NDArray[np.uint8], logit: npt.NDArray[np.float32], shift: float = 0.0
    ) -> None:
        """Sort rows.

        Args:
            label: (n,) of 0 and 1.
            logit: (n,).
            shift: Is added to every logit.

        Raises:
            DataError: A logit is nan.
        """
        assert logit.dtype == np.float32, logit.dtype
        self.shift = shift
        self.keys: Keys = np.empty(len(logit), np.uint64)
        for at in _blocks(0, len(logit)):
            part = logit[at] + np.float32(0)  # -0 ties with 0
            if np.isnan(part).any():
                raise DataError("a logit is a number; some of the scores are nan")
            bits = part.view(np.uint32)
            ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.uint64)
            self.keys[at] = (ordered << np.uint64(1)) | label[at]
        self.keys.sort()
        self.rows = len(self.keys)
        self.positives = sum(int(self._label(at).sum()) for at in _blocks(0, self.rows))

    def _label(self, at: slice) -> npt.NDArray[np.int64]:
        return (self.keys[at] & np.uint64(1)).astype(np.int64)

    def _logits(self, keys: Keys) -> Floats:
        ordered = (keys >> np.uint64(1)).astype(np.uint32)
        bits = np.where(ordered & _SIGN, ordered ^ _SIGN, ~ordered)
        return bits.view(np.float32).astype(np.float64) + self.shift

    def cells(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Yield equal logits together, ascending: logit, positive rows, negative rows."""
        start = 0
        while start < self.rows:
            stop = min(start + _BLOCK, self.rows)
            if stop < self.rows:  # a cell ends where the next logit begins
                after = (self.keys[stop - 1] | np.uint64(1)) + np.uint64(1)
                stop = int(np.searchsorted(self.keys, after, side="left"))
            keys = self.keys[start:stop]
            values = keys >> np.uint64(1)
            first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
            ones = np.add.reduceat((keys & np.uint64(1)).astype(np.float64), first)
            count = np.diff(np.append(first, len(keys)))
            yield self._logits(keys[first]), ones, count - ones
            start = stop

    def metrics(self, intervals: bool = True) -> dict[str, Any]:
        """Return the metrics of :func:`judge` but those within groups."""
        n, ones = self.rows, self.positives
        zeros = n - ones
        won = lost = predicted = below = 0.0
        for s, positive, negative in self.cells():
            before = below + np.cumsum(negative) - negative / 2
            won += float(positive @ before)
            below += float(negative.sum())
            lost += float(positive @ np.logaddexp(0, -s) + negative @ np.logaddexp(0, s))
            predicted += float((positive + negative) @ sigmoid(s))
        area = won / (ones * zeros) if ones and zeros else NAN
        loss = lost / n if n else NAN
        table = self.reliability()
        gap = float(table.rows @ np.abs(table.predicted - table.observed)) / n if n else NAN
        found: dict[str, Any] = {
            "auc": area, "logloss": loss, "ne": self._normalised(loss),
            "calibration": predicted / ones if ones else NAN, "ece": gap, "rows": n,
            "positives": ones,
        }  # fmt: skip
        return found | self._intervals(area, loss) if intervals else found

    def _normalised(self, loss: float) -> float:
        rate = self.positives / self.rows if self.rows else NAN
        if not 0 < rate < 1:
            return NAN
        return loss / -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))

    def _intervals(self, area: float, loss: float) -> dict[str, float]:
        """DeLong's interval of the AUC, the normal one of the mean loss; a second pass."""
        n, ones = self.rows, self.positives
        zeros = n - ones
        squares = [0.0, 0.0, 0.0]  # influence of positives, of negatives; losses
        negatives = positives = 0.0
        for s, positive, negative in self.cells():
            before = negatives + np.cumsum(negative) - negative / 2
            after = ones - (positives + np.cumsum(positive) - positive / 2)
            if ones and zeros:
                squares[0] += float(positive @ (before / zeros - area) ** 2)
                squares[1] += float(negative @ (after / ones - area) ** 2)
            each = np.logaddexp(0, -s), np.logaddexp(0, s)
            squares[2] += float(positive @ (each[0] - loss) ** 2 + negative @ (each[1] - loss) ** 2)
            negatives, positives = negatives + negative.sum(), positives + positive.sum()
        reach = NAN
        if ones > 1 and zeros > 1:
            variance = squares[0] / ones / (ones - 1) + squares[1] / zeros / (zeros - 1)
            reach = NORMAL_95 * math.sqrt(variance)
        error = NORMAL_95 * math.sqrt(squares[2] / n / (n - 1)) if n > 1 else NAN
        return {
            "auc_low": NAN if math.isnan(reach) else max(0.0, area - reach),
            "auc_high": NAN if math.isnan(reach) else min(1.0, area + reach),
            "logloss_low": loss - error, "logloss_high": loss + error,
        }  # fmt: skip

    def reliability(self) -> Reliability:
        """Return bins of equal counts, equal predictions together."""
        if not self.rows:
            return Reliability(*(np.zeros(0) for _ in range(3)))
        cuts = self.keys[np.arange(BINS) * self.rows // BINS]
        starts = np.unique(np.searchsorted(self.keys, cuts & ~np.uint64(1), side="left"))
        stops = np.append(starts[1:], self.rows)
        sums = np.zeros((2, len(starts)))
        for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            for at in _blocks(int(start), int(stop)):
                sums[0, i] += sigmoid(self._logits(self.keys[at])).sum()
                sums[1, i] += self._label(at).sum()
        rows = (stops - starts).astype(np.float64)
        return Reliability(rows, sums[0] / rows, sums[1] / rows)


def _blocks(start: int, stop: int) -> Iterator[slice]:
    for at in range(start, stop, _BLOCK):
        yield slice(at, min(at + _BLOCK, stop))
