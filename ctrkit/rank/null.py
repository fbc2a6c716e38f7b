"""Exact null distribution of mutual information, by count alone.

Under a uniform permutation of the labels the rows of class 1 among the ``m`` rows of a value are
hypergeometric. The expectations below depend on ``(m, N, N_1)`` only, so one memo serves all
features and crosses. Source: Vinh, Epps, Bailey, JMLR 11 (2010), regrouped by count; the spread
after Holst, Ann. Statist. 7 (1979); ``docs/methods.md``, section OutRank, (R2) and (R3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_ELEMENTS = 1 << 17  # of a block of probabilities that fits the processor's cache
_TABLE = 1 << 22  # number of rows below which logarithms are looked up
_EXACT_MEAN = 50.0  # below it, conditional expectations are summed exactly


def xlogx(x: npt.NDArray[np.integer] | Floats) -> Floats:
    """Return ``x ln x``, 0 at 0."""
    values = np.asarray(x, np.float64)
    logs: Floats = np.log(np.where(values > 0, values, 1.0))
    return values * logs


def over_classes(table: Ints) -> Ints:
    """Sum (n, C) over the classes: numpy is slow along a short axis, columns are not."""
    total = table[:, 0].copy()
    for c in range(1, table.shape[1]):
        total += table[:, c]
    return total


@dataclass(frozen=True)
class Moments:
    """Moments of ``S = sum_c g(K_c) - sum_c K_c ln p_c`` under permutation, for each count m.

    ``g(x) = x ln x``; the linear term changes no variance of a whole table (the class totals are
    fixed) and keeps the sums below from cancelling. The variances carry the factor
    ``(N - 1) / (N - m)`` that undoes the finite population.

    Attributes:
        expected: ``(n,)`` E sum_c g(K_c).
        variance: ``(n,)`` Var S.
        covariance: ``(n, C - 1)`` Cov(S, K_c).
        spread: ``(n, C - 1, C - 1)`` Cov(K_c, K_d).
    """

    expected: Floats
    variance: Floats
    covariance: Floats
    spread: Floats


class Null:
    """The null distribution of one label, memoised by count."""

    def __init__(self, totals: npt.NDArray[np.integer]) -> None:
        """Set up for a label.

        Args:
            totals: (C,) rows of each class, C >= 2, each positive.
        """
        self.totals: Ints = np.asarray(totals, np.int64)
        assert len(self.totals) >= 2
        assert self.totals.min() > 0
        self.rows = int(self.totals.sum())
        self.shares: Floats = self.totals / self.rows
        self.entropy = float(np.log(self.rows) - xlogx(self.totals).sum() / self.rows)
        free = len(self.totals) - 1
        self._counts: Ints = np.empty(0, np.int64)
        self._moments = Moments(
            np.empty(0), np.empty(0), np.empty((0, free)), np.empty((0, free, free))
        )
        self._table = _log_table(self.rows)

    def moments(self, m: Ints) -> Moments:
        """Return the moments of counts ``m`` (n,), each in 1..N."""
        self.learn(m)
        at = np.searchsorted(self._counts, m)
        memo = self._moments
        return Moments(memo.expected[at], memo.variance[at], memo.covariance[at], memo.spread[at])

    def learn(self, m: Ints) -> None:
        """Compute the moments of the counts ``m`` that are new."""
        new = np.setdiff1d(m, self._counts)
        if not len(new):
            return
        added = self._compute(new)
        counts = np.concatenate([self._counts, new])
        order = np.argsort(counts, kind="stable")
        self._counts = counts[order]
        old = self._moments
        self._moments = Moments(
            np.concatenate([old.expected, added.expected])[order],
            np.concatenate([old.variance, added.variance])[order],
            np.concatenate([old.covariance, added.covariance])[order],
            np.concatenate([old.spread, added.spread])[order],
        )

    def _compute(self, m: Ints) -> Moments:
        n, classes = self.rows, len(self.totals)
        factor = np.where(m < n, (n - 1) / np.maximum(n - m, 1), 0.0)
        p = self.shares[:-1]
        spread = m[:, None, None] * (np.diag(p) - np.outer(p, p))  # (n, C-1, C-1)
        spread = np.where((m < n)[:, None, None], spread, 0.0)
        if classes == 2:
            expected, variance, covariance = self._binary(m)
        else:
            expected, variance, covariance = self._many(m)
        return Moments(expected, variance * factor, covariance * factor[:, None], spread)

    def _g(self, k: Ints) -> Floats:
        if self._table is not None:
            return self._table[np.clip(k, 0, self.rows)]
        return xlogx(np.maximum(k, 0))

    def _binary(self, m: Ints) -> tuple[Floats, Floats, Floats]:
        expected, variance, covariance = (np.empty(len(m)) for _ in range(3))
        slope = np.log(self.shares[0] / self.shares[1])
        for at, k, pmf in probabilities(self.rows, np.full(len(m), self.totals[0]), m):
            total = m[at][:, None]
            mean = m[at] * self.shares[0]
            s = self._g(k) + self._g(total - k) - slope * k
            centre = np.einsum("ij,ij->i", pmf, s)
            s -= centre[:, None]
            expected[at] = centre + slope * mean
            variance[at] = np.einsum("ij,ij,ij->i", pmf, s, s)
            covariance[at] = np.einsum("ij,ij,ij->i", pmf, s, k - mean[:, None])
        return expected, variance, covariance[:, None]

    def _many(self, m: Ints) -> tuple[Floats, Floats, Floats]:
        """Sum over classes and pairs of classes: Var S = sum_cd Cov(s_c, s_d)."""
        classes = len(self.totals)
        expected, variance = np.zeros(len(m)), np.zeros(len(m))
        covariance = np.zeros((len(m), classes))
        for c in range(classes):
            # s_c = g(K_c) - K_c ln p_c; given K_c, the others are again hypergeometric.
            for at, k, pmf in probabilities(self.rows, np.full(len(m), self.totals[c]), m):
                mean = m[at] * self.shares[c]
                g = self._g(k)
                s = g - k * np.log(self.shares[c])
                expected[at] += np.einsum("ij,ij->i", pmf, g)
                weighted = pmf * (s - np.einsum("ij,ij->i", pmf, s)[:, None])
                rest = m[at][:, None] - k
                others = s.copy()
                for d in range(classes):
                    if d != c:
                        others += self._given(c, d, rest)
                covariance[at, c] += np.einsum("ij,ij->i", pmf, others * (k - mean[:, None]))
                variance[at] += np.einsum("ij,ij->i", weighted, others)
        return expected, variance, covariance[:, :-1]

    def _given(self, c: int, d: int, rest: Ints) -> Floats:
        """Return E[g(K_d) - K_d ln p_d | the rows not of class c], by their number."""
        pool = self.rows - int(self.totals[c])
        share = self.totals[d] / pool
        size = np.clip(rest, 0, pool)
        mean = size * share
        spread = mean * (1 - share) * (pool - size) / max(pool - 1, 1)
        safe = np.maximum(mean, 1.0)
        result: Floats = safe * np.log(safe) + spread / (2 * safe)  # second order
        small = mean <= _EXACT_MEAN
        if small.any():
            values, inverse = np.unique(size[small], return_inverse=True)
            exact = np.empty(len(values))
            ones = np.full(len(values), self.totals[d])
            for at, k, pmf in probabilities(pool, ones, values):
                exact[at] = np.einsum("ij,ij->i", pmf, self._g(k))
            result[small] = exact[inverse]
        result -= mean * np.log(self.shares[d])
        return result


def expected_xlogx(rows: int, ones: Ints, m: Ints) -> Floats:
    """Return ``E K ln K`` for K ~ Hypergeometric(rows, ones, m), elementwise over (n,) arrays."""
    table = _log_table(rows)
    expected = np.empty(len(m))
    for at, k, pmf in probabilities(rows, ones, m):
        g = np.take(table, k, mode="clip") if table is not None else xlogx(np.maximum(k, 0))
        expected[at] = np.einsum("ij,ij->i", pmf, g)
    return expected


@lru_cache(maxsize=2)
def _log_table(rows: int) -> Floats | None:
    return xlogx(np.arange(rows + 1)) if rows < _TABLE else None


def probabilities(rows: int, ones: Ints, m: Ints) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield blocks of hypergeometric probabilities over mean +- (14 sd + 8).

    By the ratio recurrence outward from the mode, then normalised, because differences of
    log-gammas lose digits where N is large. Less than 1e-20 of the mass is left out.

    Args:
        rows: Number of rows N.
        ones: (n,) rows of the class, each in 0..N.
        m: (n,) draws, each in 0..N.

    Yields:
        Positions (b,), counts k (b, w), probabilities (b, w): 0 where k is impossible.
    """
    share = ones / rows
    sd = np.sqrt(m * share * (1 - share) * (rows - m) / max(rows - 1, 1))
    half = np.minimum(np.ceil(14 * sd + 8), np.maximum(np.minimum(m, ones), 1)).astype(np.int64)
    order = np.argsort(half, kind="stable")
    start = 0
    while start < len(order):
        widest = max(int(half[order[start]] * 1.25), 16)
        stop = int(np.searchsorted(half[order], widest, side="right"))
        stop = min(stop, start + max(1, _ELEMENTS // (2 * widest + 1)))
        at = order[start:stop]
        yield at, *_block(rows, ones[at], m[at], int(half[at].max()))
        start = stop


def _block(rows: int, ones: Ints, m: Ints, half: int) -> tuple[Ints, Floats]:
    mode = (m + 1) * (ones + 1) // (rows + 2)
    mode = np.clip(mode, np.maximum(0, m - (rows - ones)), np.minimum(m, ones))[:, None]
    n1, draws = ones[:, None].astype(np.float64), m[:, None].astype(np.float64)
    zeros = rows - n1 - draws
    step = np.arange(1, half + 1)
    up = (mode + step).astype(np.float64)
    ratio = (n1 - up + 1) * (draws - up + 1) / (up * np.maximum(zeros + up, 1.0))
    above = np.cumprod(np.maximum(ratio, 0.0), axis=1)
    lowest = np.maximum(0, m - (rows - ones))[:, None]
    fall = min(half, int((mode - lowest).max()))
    down = (mode - step[:fall] + 1).astype(np.float64)
    ratio = down * (zeros + down) / ((n1 - down + 1) * (draws - down + 1))
    below = np.cumprod(np.maximum(ratio, 0.0), axis=1)
    pmf = np.concatenate([below[:, ::-1], np.ones((len(m), 1)), above], axis=1)
    pmf /= pmf.sum(axis=1, keepdims=True)
    return mode + np.arange(-fall, half + 1), pmf
