"""Scores of a feature from its counts by value and class alone, corrected for cardinality.

Every score is a sum over three (for C classes: C + 1) histograms: how many values have count m,
and how many have k rows of each class. Histograms do not depend on the order of the values, so
any sharding of the rows gives the same floats. Sources: outrank.md 2.1-2.3; Vinh, Epps, Bailey,
JMLR 11 (2010).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrkit.rank.gamma import log_gamma, quantile, upper_tail
from ctrkit.rank.null import Floats, Ints, Null, over_classes, xlogx

STRENGTHS: Floats = np.geomspace(0.5, 3e5, 28)
"""The grid of prior strengths ``a`` that the evidence gain is maximised over."""
_COUNTABLE = 8  # cells per count up to which equal counts are counted in place


@dataclass(frozen=True)
class Histogram:
    """Distinct counts, ascending, and how many values have each."""

    count: Ints
    values: Ints

    @classmethod
    def of(cls, counts: npt.NDArray[np.integer]) -> Histogram:
        """Count equal counts; zeros are left out."""
        if len(counts) and int(counts.max()) < _COUNTABLE * len(counts):
            found = np.bincount(counts)
            found[0] = 0
            at = np.flatnonzero(found)
            return cls(at, found[at])
        count, values = np.unique(counts[counts > 0], return_counts=True)
        return cls(count.astype(np.int64), values)


@dataclass(frozen=True)
class Spectrum:
    """All that single-feature scores need of a count table.

    Attributes:
        size: Of the values' counts m.
        classes: Of the values' counts k in each class.
        values: Distinct values.
    """

    size: Histogram
    classes: tuple[Histogram, ...]
    values: int

    @classmethod
    def of(cls, table: Ints) -> Spectrum:
        """Make the spectrum of a table (values, C) of counts; empty rows are left out."""
        size = over_classes(table)
        parts = tuple(Histogram.of(table[:, c]) for c in range(table.shape[1]))
        return cls(Histogram.of(size), parts, int(np.count_nonzero(size)))


def truncated(table: Ints, threshold: int) -> Ints:
    """Pool the values that occur fewer than ``threshold`` times into one (outrank.md 2.1)."""
    rare = over_classes(table) < threshold
    pooled = table[rare].sum(axis=0, keepdims=True)
    return np.concatenate([table[~rare], pooled]) if pooled.any() else table[~rare]


@dataclass(frozen=True)
class Score:
    """Scores of one feature, in nats.

    Attributes:
        gain: Log loss saved per row by a rate per value, shrunk as the data wants: evidence of a
            Beta-binomial (Dirichlet-multinomial) model against one common rate, at least 0.
        strength: The prior strength ``a`` of that model.
        mi: Plug-in mutual information with the label.
        emi: Its expectation under permuted labels.
        adj: ``mi - emi``.
        ami: ``adj / (H(label) - emi)``.
        sd: Of ``mi`` under permuted labels.
        z: ``adj / sd``; None where sd is 0.
        p: Chance of such an ``mi`` under permuted labels (Gamma of the null's mean and variance).
    """

    gain: float
    strength: float
    mi: float
    emi: float
    adj: float
    ami: float
    sd: float
    z: float | None
    p: float


class Scorer:
    """Scores spectra against one label; look-ups are shared by all of them."""

    def __init__(self, totals: npt.NDArray[np.integer]) -> None:
        """Set up for a label.

        Args:
            totals: (C,) rows of each class.
        """
        self.null = Null(totals)
        self._evidence = [_Memo(_rising(p)) for p in self.null.shares]
        self._size_evidence = _Memo(_rising(1.0))

    def score(self, spectra: Sequence[Spectrum]) -> list[Score]:
        """Score each spectrum."""
        if spectra:
            self.null.learn(np.unique(np.concatenate([s.size.count for s in spectra])))
        return [self._one(s) for s in spectra]

    def adjusted(self, s: Spectrum) -> tuple[float, float, float, float]:
        """Return ``mi``, ``emi``, ``adj`` and ``sd`` of a spectrum."""
        null, n = self.null, self.null.rows
        if not s.values:
            return 0.0, 0.0, 0.0, 0.0
        moments = null.moments(s.size.count)
        inside = sum(float(h.values @ xlogx(h.count)) for h in s.classes)
        size = float(s.size.values @ xlogx(s.size.count))
        mi = null.entropy + (inside - size) / n
        emi = null.entropy + (float(s.size.values @ moments.expected) - size) / n
        if s.values == 1 or int(s.size.count[-1]) <= 1:
            return (mi, mi, 0.0, 0.0)  # one value, or one row a value: exactly nothing to learn
        weight = s.size.values.astype(np.float64)
        scale = np.where(s.size.count < n, (n - 1) / np.maximum(n - s.size.count, 1), 0.0)
        variance = float(weight @ moments.variance)
        slope = weight @ moments.covariance  # (C - 1,)
        spread = np.tensordot(weight * scale, moments.spread, axes=1)  # (C - 1, C - 1)
        explained = float(slope @ np.linalg.lstsq(spread, slope, rcond=None)[0])
        return mi, emi, mi - emi, math.sqrt(max(variance - explained, 0.0)) / n

    def _one(self, s: Spectrum) -> Score:
        mi, emi, adj, sd = self.adjusted(s)
        gain, strength = self._gain(s)
        room = self.null.entropy - emi
        return Score(
            gain=gain,
            strength=strength,
            mi=mi,
            emi=emi,
            adj=adj,
            ami=adj / room if room > 1e-12 else 0.0,
            sd=sd,
            z=adj / sd if sd > 0 else None,
            p=tail(mi, emi, sd),
        )

    def _gain(self, s: Spectrum) -> tuple[float, float]:
        null = self.null
        total = np.zeros(len(STRENGTHS))
        for h, memo, p in zip(s.classes, self._evidence, null.shares, strict=True):
            total += memo.of(h.count) @ h.values - math.log(p) * float(h.count @ h.values)
        total -= self._size_evidence.of(s.size.count) @ s.size.values
        best = int(total.argmax())
        return max(0.0, float(total[best]) / null.rows), float(STRENGTHS[best])


def _rising(share: float) -> Floats:
    return STRENGTHS * share


class _Memo:
    """``lnGamma(b + k) - lnGamma(b)`` for the grid ``b`` (A,) and integers k, each once."""

    def __init__(self, grid: Floats) -> None:
        self._grid = grid[:, None]
        self._start = log_gamma(self._grid)
        self._known: Ints = np.empty(0, np.int64)
        self._values: Floats = np.empty((len(grid), 0))

    def of(self, k: Ints) -> Floats:
        """Return (A, n)."""
        new = np.setdiff1d(k, self._known)
        if len(new):
            every = np.concatenate([self._known, new])
            order = np.argsort(every, kind="stable")
            found = log_gamma(self._grid + new) - self._start
            self._values = np.concatenate([self._values, found], axis=1)[:, order]
            self._known = every[order]
        return self._values[:, np.searchsorted(self._known, k)]


def tail(mi: float, emi: float, sd: float) -> float:
    """Return the chance that a Gamma variable of mean ``emi`` and spread ``sd`` reaches ``mi``."""
    if sd <= 0 or emi <= 0:
        return 1.0
    return upper_tail((emi / sd) ** 2, max(mi, 0.0) * emi / sd**2)


def interval(emi: float, sd: float, level: float = 0.95) -> tuple[float, float]:
    """Return where ``adj`` lies under the null with chance ``level``: the noise floor."""
    if sd <= 0 or emi <= 0:
        return (0.0, 0.0)
    shape, scale = (emi / sd) ** 2, sd**2 / emi
    low, high = (quantile(shape, q) * scale - emi for q in ((1 - level) / 2, (1 + level) / 2))
    return low, high


def sampling_interval(table: Ints, adj: float, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of ``adj`` over samples of rows, by the delta method.

    Args:
        table: (n, C) rows of each value and class.
        adj: The estimate.
        z: Half width in standard errors.
    """
    size, totals = over_classes(table), table.sum(axis=0)
    n, repeated = int(size.sum()), size > 1
    most = int(size.max(initial=0)) + 1
    first = second = 0.0
    binary = len(totals) == 2
    for c in (1,) if binary else range(len(totals)):
        # Distinct (m, k) in ascending order: the sums do not depend on the order of the values.
        joint = Histogram.of(size[repeated] * most + table[repeated, c])
        m, k = np.divmod(joint.count, most)
        parts = [(k, totals[c]), *([(m - k, totals[0])] if binary else [])]
        for part, total in parts:
            logs = np.log(np.maximum(part, 1) * n / (m * total))
            first += float((joint.values * part) @ logs) / n
            second += float((joint.values * part) @ logs**2) / n
    variance = max(second - first**2, 0.0)
    half = z * math.sqrt(variance / n)
    return (adj - half, adj + half)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Return q-values: the false discovery rate at which each hypothesis would be refused."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    ranks = np.arange(1, len(values) + 1)
    scaled = np.minimum.accumulate((values[order] * len(values) / ranks)[::-1])[::-1]
    q = np.empty(len(values))
    q[order] = np.minimum(scaled, 1.0)
    return [float(v) for v in q]
