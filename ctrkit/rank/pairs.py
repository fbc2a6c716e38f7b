"""Pairs of features: a cheap screen of all, then what a cross adds to its two members.

Source: outrank.md 2.4.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ctrkit.rank.null import Floats, Ints, expected_xlogx, over_classes, xlogx
from ctrkit.rank.scores import STRENGTHS, Histogram, Scorer, Spectrum, tail

Codes = npt.NDArray[np.unsignedinteger]
Pair = tuple[int, int]
R = TypeVar("R")
T = TypeVar("T")
_DENSE = 4  # cells per row up to which a table is counted in place
_BATCH = 64
_SMALL = 8  # cells up to this count need no gamma function
_EMI_BUDGET = 200_000


@dataclass(frozen=True)
class Coded:
    """Rows as dense codes, with the label's class.

    Attributes:
        columns: One array (n,) per feature; the last code of each is missing.
        sizes: Codes of each feature.
        label: (n,) class of each row.
        classes: Classes of the label.
        weight: (n,) how often a row counts; None: once.
    """

    columns: Sequence[Codes]
    sizes: Sequence[int]
    label: npt.NDArray[np.uint8]
    classes: int
    weight: Ints | None = None

    @property
    def rows(self) -> int:
        """Rows."""
        return len(self.label)


def cells_of(coded: Coded, pair: Pair) -> tuple[Ints, Ints]:
    """Count the joint values of a pair by class.

    Returns:
        Keys ``code_a * size_b + code_b`` ascending (n,), and counts (n, C); no empty cell.
    """
    a, b = pair
    size, cells = coded.sizes[b], coded.sizes[a] * coded.sizes[b]
    small = cells * coded.classes < 2**32
    key: Any = coded.columns[a].astype(np.uint32 if small else np.uint64)
    key *= key.dtype.type(size)
    key += coded.columns[b]
    return _count_keys(key, cells, coded)


def _count_keys(key: npt.NDArray[Any], size: int, coded: Coded) -> tuple[Ints, Ints]:
    classes = coded.classes
    if classes > 1:
        key *= key.dtype.type(classes)
        key += coded.label
    if size * classes <= 2 * _DENSE * max(coded.rows, 1):
        found = np.bincount(key, weights=coded.weight, minlength=size * classes)
        table = found.astype(np.int64, copy=False).reshape(size, classes)
        at = np.flatnonzero(over_classes(table))
        return at, table[at]
    if coded.weight is not None:
        distinct, inverse = np.unique(key, return_inverse=True)
        count = np.bincount(inverse, weights=coded.weight).astype(np.int64)
    else:
        key.sort()
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        distinct, count = key[starts], np.diff(np.append(starts, len(key)))
    distinct = distinct.astype(np.int64)
    if classes == 1:
        return distinct, count[:, None]
    cell, label = np.divmod(distinct, classes)
    first = np.concatenate([[True], cell[1:] != cell[:-1]])
    table = np.zeros((int(first.sum()), classes), np.int64)
    table[np.cumsum(first) - 1, label] = count
    return cell[first], table


@dataclass(frozen=True)
class Joint:
    """The screen of a pair: its joint variable against the label, and beyond its members.

    Attributes:
        pair: Positions of the members.
        mi: Of the joint variable; ``emi, adj, ami, sd, z, p`` likewise.
        synergy: ``adj(AB) - adj(A) - adj(B)``.
        cells: Joint values that occur.
    """

    pair: Pair
    mi: float
    emi: float
    adj: float
    ami: float
    sd: float
    z: float | None
    p: float
    synergy: float
    cells: int

    @property
    def synergy_z(self) -> float:
        """Synergy in units of the joint score's spread: what the screen sorts by."""
        return self.synergy / self.sd if self.sd > 0 else -np.inf


def parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return the work on each item, in order, on all cores."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        return list(pool.map(work, items))


def screen(
    coded: Coded,
    adjusted: Sequence[float],
    pairs: Sequence[Pair],
    scorer: Scorer,
    advance: Callable[[int], bool] = lambda done: True,
) -> list[Joint]:
    """Score the joint variable of each pair. Memory does not grow with the pairs.

    Args:
        coded: The rows.
        adjusted: ``adj`` of each feature.
        pairs: Positions of the members.
        scorer: Of the label.
        advance: Is told how many pairs are done; False ends the screen there.
    """
    found: list[Joint] = []

    def spectrum(pair: Pair) -> Spectrum:
        return Spectrum.of(cells_of(coded, pair)[1])

    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        for pair, s in zip(batch, parallel(spectrum, batch), strict=True):
            mi, emi, adj, sd = scorer.adjusted(s)
            room = scorer.null.entropy - emi
            a, b = pair
            found.append(
                Joint(
                    pair,
                    mi,
                    emi,
                    adj,
                    adj / room if room > 1e-12 else 0.0,
                    sd,
                    adj / sd if sd > 0 else None,
                    tail(mi, emi, sd),
                    adj - adjusted[a] - adjusted[b],
                    s.values,
                )
            )
        if not advance(len(found)):
            break
    return found


def log_odds(counts: Ints, strength: float, share: float) -> Floats:
    """Return the shrunk log-odds of each value of a feature, less those of all rows.

    Args:
        counts: (n, 2) rows of each class.
        strength: Prior strength ``a`` of the feature's evidence gain.
        share: Of the second class in all rows.
    """
    rate = (strength * share + counts[:, 1]) / (strength + over_classes(counts))
    odds: Floats = np.log(rate / (1 - rate)) - np.log(share / (1 - share))
    return odds


def gain_over_additive(
    cells: tuple[Ints, Ints], size_b: int, effect_a: Floats, effect_b: Floats, rows: int
) -> tuple[float, float]:
    """Return the log loss per row that a cross saves beyond an additive model of its members.

    Each cell's prior mean is ``logistic(c + s_a e_a + s_b e_b)`` with ``0 <= s <= 1`` fitted to
    the cells; the gain is the Beta-binomial evidence against these means, maximised over the
    prior strength, never below 0. Cells of one row say nothing and are left out.

    Args:
        cells: Ascending keys (n,) and counts (n, 2), see :func:`cells_of`.
        size_b: Codes of the second member.
        effect_a: Shrunk log-odds of each code of the first member, see :func:`log_odds`.
        effect_b: Of the second.
        rows: N.

    Returns:
        Gain in nats per row, and the prior strength.
    """
    from scipy.special import expit

    key, table = cells
    ones, count = table[:, 1].astype(np.float64), over_classes(table).astype(np.float64)
    a, b = np.divmod(key, size_b)
    design = np.stack([np.ones(len(key)), effect_a[a], effect_b[b]])  # (3, n)
    weight = _fit(design, ones, count)
    kept = count >= 2
    if not kept.any():
        return 0.0, float(STRENGTHS[-1])
    mean = np.clip(expit(weight @ design[:, kept]), 1e-12, 1 - 1e-12)
    evidence = _Evidence(ones[kept], count[kept], mean)
    coarse = range(0, len(STRENGTHS), 3)
    totals = {i: evidence.of(float(STRENGTHS[i])) for i in coarse}
    best = max(totals, key=lambda i: totals[i])
    for i in (best - 2, best - 1, best + 1, best + 2):
        if 0 <= i < len(STRENGTHS):
            totals[i] = evidence.of(float(STRENGTHS[i]))
    best = max(sorted(totals), key=lambda i: totals[i])
    return max(0.0, totals[best] / rows), float(STRENGTHS[best])


def _fit(design: Floats, ones: Floats, count: Floats) -> Floats:
    """Fit a logistic model of cells with its slopes bounded to 0..1 (projected Newton)."""
    from scipy.special import expit

    share = ones.sum() / count.sum()
    weight = np.array([np.log(share / (1 - share)), 1.0, 1.0])
    low, high = np.array([-np.inf, 0.0, 0.0]), np.array([np.inf, 1.0, 1.0])
    for _ in range(30):
        rate = expit(weight @ design)
        gradient = design @ (ones - count * rate)
        curve = count * rate * (1 - rate)
        hessian = (design * curve) @ design.T + 1e-9 * np.eye(3)
        free = ~(((weight <= low) & (gradient < 0)) | ((weight >= high) & (gradient > 0)))
        step = np.zeros(3)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        new = np.clip(weight + step, low, high)
        if np.abs(new - weight).max() < 1e-10:
            return new
        weight = new
    return weight


class _Evidence:
    """Beta-binomial evidence of cells around given means, against these means themselves."""

    def __init__(self, ones: Floats, count: Floats, mean: Floats) -> None:
        order = np.lexsort((ones, count))
        ones, count, mean = ones[order], count[order], mean[order]
        small = int(np.searchsorted(count, _SMALL, side="right"))
        self._groups: list[tuple[int, int, Floats]] = []
        if small:
            kind = count[:small] * (_SMALL + 1) + ones[:small]
            starts = np.flatnonzero(np.append(True, kind[1:] != kind[:-1]))
            for i, j in zip(starts, np.append(starts[1:], small), strict=True):
                self._groups.append((int(count[i]), int(ones[i]), mean[i:j]))
        self._large = ones[small:], count[small:], mean[small:]
        fixed = ones * np.log(mean) + (count - ones) * np.log1p(-mean)
        self._plain = float(fixed[small:].sum())

    def of(self, a: float) -> float:
        """Return the evidence, in nats, for prior strength ``a``."""
        total = 0.0
        for m, k, mean in self._groups:
            ratio = np.ones(len(mean))
            up, down = 1 / (a * mean), 1 / (a * (1 - mean))
            for i in range(1, k):
                ratio *= 1 + i * up
            for i in range(1, m - k):
                ratio *= 1 + i * down
            total += float(np.log(ratio).sum())
            total -= len(mean) * sum(float(np.log1p(i / a)) for i in range(1, m))
        ones, count, mean = self._large
        if len(count):
            from scipy.special import gammaln

            alpha, beta = a * mean, a * (1 - mean)
            large = gammaln(alpha + ones) - gammaln(alpha) - gammaln(a + count) + gammaln(a)
            large += gammaln(beta + count - ones) - gammaln(beta)
            total += float(large.sum()) - self._plain
        return total


@dataclass(frozen=True)
class Alike:
    """How alike two features are: adjusted mutual information, arithmetic mean of entropies."""

    pair: Pair
    ami: float
    exact: bool


def likeness(
    coded: Coded, counts: Sequence[Ints], threshold: float, pairs: Sequence[Pair]
) -> list[Alike]:
    """Return the pairs whose adjusted mutual information reaches a threshold.

    A pair's score falls with its expectation E, which is at least ``H_a + H_b - ln N``, and MI is
    at most ``min(H)``: what these bounds exclude is not computed further.

    Args:
        coded: The rows.
        counts: (size,) rows of each code, for each feature.
        threshold: Least score.
        pairs: Positions.
    """
    n = int(counts[0].sum()) if len(counts) else 0
    entropy = [np.log(max(n, 1)) - xlogx(c).sum() / max(n, 1) for c in counts]
    unlabelled = Coded(coded.columns, coded.sizes, np.zeros_like(coded.label), 1, coded.weight)

    def close(pair: Pair) -> bool:
        low, high = sorted(entropy[i] for i in pair)
        return bool(low > 0 and low >= threshold * (low + high) / 2)

    def compare(pair: Pair) -> Alike | None:
        a, b = pair
        mean = (entropy[a] + entropy[b]) / 2
        joint = xlogx(cells_of(unlabelled, pair)[1][:, 0]).sum()
        mi = entropy[a] + entropy[b] - (np.log(n) - joint / n)
        least = max(0.0, entropy[a] + entropy[b] - np.log(n))  # of the expectation: E sum g >= 0
        if mi - least < threshold * (mean - least):
            return None
        emi, exact = expected_mi(counts[a], counts[b])
        ami = (mi - emi) / (mean - emi) if mean - emi > 1e-12 else 1.0
        return Alike(pair, float(ami), exact) if ami >= threshold else None

    found = parallel(compare, [p for p in pairs if close(p)])
    return [alike for alike in found if alike is not None]


def shared_information(coded: Coded, counts: Sequence[Ints], pair: Pair) -> float:
    """Return what two features tell of each other, less its expectation, in nats."""
    a, b = pair
    n = int(counts[a].sum())
    unlabelled = Coded(coded.columns, coded.sizes, np.zeros_like(coded.label), 1, coded.weight)
    joint = float(xlogx(cells_of(unlabelled, pair)[1][:, 0]).sum())
    mi = (joint - float(xlogx(counts[a]).sum()) - float(xlogx(counts[b]).sum())) / n + np.log(n)
    return float(mi) - expected_mi(counts[a], counts[b])[0]


def expected_mi(a: Ints, b: Ints) -> tuple[float, bool]:
    """Return the expected mutual information of two features under permutation.

    Args:
        a: (n,) rows of each value of the one.
        b: (m,) rows of each value of the other; both sum to N.

    Returns:
        Nats, and whether every term is exact (beyond a budget, large means are expanded to
        second order).
    """
    left, right = Histogram.of(a), Histogram.of(b)
    n = int(a.sum())
    m, ones = (g.ravel() for g in np.meshgrid(left.count, right.count))
    weight = np.outer(right.values, left.values).ravel().astype(np.float64)
    mean = m * (ones / n)
    expand = (mean > 50) if len(m) > _EMI_BUDGET else np.zeros(len(m), bool)
    expected = np.empty(len(m))
    expected[~expand] = expected_xlogx(n, ones[~expand], m[~expand])
    if expand.any():
        mu, share = mean[expand], ones[expand] / n
        spread = mu * (1 - share) * (n - m[expand]) / max(n - 1, 1)
        expected[expand] = mu * np.log(mu) + spread / (2 * mu)
    total = float(weight @ expected) - float(left.values @ xlogx(left.count))
    total -= float(right.values @ xlogx(right.count))
    return max(0.0, total / n + float(np.log(n))), not expand.any()
