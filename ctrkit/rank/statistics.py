"""Scores of a feature from its counts by value and class alone, corrected for cardinality.

Every score is a sum over three (for C classes: C + 1) histograms: how many values have count m,
and how many have k rows of each class. Histograms do not depend on the order of the values, so
any sharding of the rows gives the same floats. Source: Vinh, Epps, Bailey, JMLR 11 (2010);
``docs/methods.md``, section OutRank, (R1) to (R4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrkit.rank.gamma import log_gamma, quantile, upper_tail
from ctrkit.rank.null import Floats, Ints, Null, over_classes, xlogx
from ctrkit.rank.spectrum import Histogram, Spectrum

STRENGTHS: Floats = np.geomspace(0.5, 3e5, 28)
"""The grid of prior strengths ``a`` that the evidence gain is maximised over."""


@dataclass(frozen=True)
class Information:
    """Mutual information of a feature or a cross with the label, in nats.

    Attributes:
        mi: Plug-in mutual information.
        emi: Its expectation under permuted labels.
        adj: ``mi - emi``.
        ami: ``adj / (H(label) - emi)``.
        sd: Standard deviation of ``mi`` under permuted labels.
        z: ``adj / sd``; None where sd is 0.
        p: Probability of at least this ``mi`` under permuted labels, by a Gamma distribution of
            the same mean and variance.
    """

    mi: float
    emi: float
    adj: float
    ami: float
    sd: float
    z: float | None
    p: float


@dataclass(frozen=True)
class Statistics:
    """Statistics of one feature, in nats.

    Attributes:
        gain: Log loss saved per row by a rate per value, shrunk as far as the data asks: the
            evidence of a Beta-binomial (Dirichlet-multinomial) model against one common rate, at
            least 0.
        strength: Prior strength ``a`` of that model.
        information: Mutual information with the label.
    """

    gain: float
    strength: float
    information: Information


class Scorer:
    """Scores spectra against one label; look-ups are shared by all of them."""

    def __init__(self, totals: npt.NDArray[np.integer]) -> None:
        """Set up for a label.

        Args:
            totals: (C,) rows of each class.
        """
        self.null = Null(totals)
        self._evidence = [_Memo(STRENGTHS * p) for p in self.null.shares]
        self._size_evidence = _Memo(STRENGTHS * 1.0)

    def score(self, spectra: Sequence[Spectrum]) -> list[Statistics]:
        """Score each spectrum."""
        if spectra:
            self.null.learn(np.unique(np.concatenate([s.size.count for s in spectra])))
        return [Statistics(*self._gain(s), self.information(s)) for s in spectra]

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
            return (mi, mi, 0.0, 0.0)  # one value, or one row per value: exactly no information
        weight = s.size.values.astype(np.float64)
        scale = np.where(s.size.count < n, (n - 1) / np.maximum(n - s.size.count, 1), 0.0)
        variance = float(weight @ moments.variance)
        slope = weight @ moments.covariance  # (C - 1,)
        spread = np.tensordot(weight * scale, moments.spread, axes=1)  # (C - 1, C - 1)
        explained = float(slope @ np.linalg.lstsq(spread, slope, rcond=None)[0])
        return mi, emi, mi - emi, math.sqrt(max(variance - explained, 0.0)) / n

    def information(self, s: Spectrum) -> Information:
        """Return the mutual information of a spectrum with the label, and its null distribution."""
        mi, emi, adj, sd = self.adjusted(s)
        span = self.null.entropy - emi
        return Information(
            mi=mi,
            emi=emi,
            adj=adj,
            ami=adj / span if span > 1e-12 else 0.0,
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


class _Memo:
    """``lnGamma(b + k) - lnGamma(b)`` for the grid ``b`` (A,) and integers k, each once."""

    def __init__(self, grid: Floats) -> None:
        self._grid = grid[:, None]
        self._start = log_gamma(self._grid)
        self._counts: Ints = np.empty(0, np.int64)
        self._values: Floats = np.empty((len(grid), 0))

    def of(self, k: Ints) -> Floats:
        """Return (A, n)."""
        new = np.setdiff1d(k, self._counts)
        if len(new):
            counts = np.concatenate([self._counts, new])
            order = np.argsort(counts, kind="stable")
            values = log_gamma(self._grid + new) - self._start
            self._values = np.concatenate([self._values, values], axis=1)[:, order]
            self._counts = counts[order]
        return self._values[:, np.searchsorted(self._counts, k)]


def tail(mi: float, emi: float, sd: float) -> float:
    """Return the probability that a Gamma variable of mean ``emi`` and sd ``sd`` reaches ``mi``."""
    if sd <= 0 or emi <= 0:
        return 1.0
    return upper_tail((emi / sd) ** 2, max(mi, 0.0) * emi / sd**2)


def noise_interval(emi: float, sd: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval that holds ``adj`` under the null with probability ``level``."""
    if sd <= 0 or emi <= 0:
        return (0.0, 0.0)
    shape, scale = (emi / sd) ** 2, sd**2 / emi
    low, high = (quantile(shape, q) * scale - emi for q in ((1 - level) / 2, (1 + level) / 2))
    return low, high


def sampling_interval(table: Ints, adj: float, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of ``adj`` over samples of rows, by the delta method.

    Args:
        table: (n, C) rows of each value and class.
        adj: Estimate of ``adj``.
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
        terms = [(k, totals[c]), *([(m - k, totals[0])] if binary else [])]
        for count, total in terms:
            logs = np.log(np.maximum(count, 1) * n / (m * total))
            first += float((joint.values * count) @ logs) / n
            second += float((joint.values * count) @ logs**2) / n
    variance = max(second - first**2, 0.0)
    half = z * math.sqrt(variance / n)
    return (adj - half, adj + half)


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Return q-values: the false discovery rate at which each hypothesis would be rejected."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    ranks = np.arange(1, len(values) + 1)
    scaled = np.minimum.accumulate((values[order] * len(values) / ranks)[::-1])[::-1]
    q = np.empty(len(values))
    q[order] = np.minimum(scaled, 1.0)
    return [float(v) for v in q]
