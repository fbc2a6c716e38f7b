"""What a cross adds to an additive model of its two members: Beta-binomial evidence."""

from __future__ import annotations

import numpy as np

from ctrkit.rank.null import Floats, Ints, over_classes
from ctrkit.rank.statistics import STRENGTHS

_SMALL = 8  # cells up to this count need no gamma function


def log_odds(counts: Ints, strength: float, share: float) -> Floats:
    """Return the shrunk log-odds of each value of a feature, minus those of all rows.

    Args:
        counts: (n, 2) rows of each class.
        strength: Prior strength ``a`` behind the gain of the feature.
        share: Share of the second class in all rows.
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
    prior strength, never below 0. Cells of one row hold no evidence and are left out.

    Args:
        cells: Ascending keys (n,) and counts (n, 2), see :func:`cells_of`.
        size_b: Codes of the second member.
        effect_a: Shrunk log-odds of each code of the first member, see :func:`log_odds`.
        effect_b: The same for the second member.
        rows: Number of rows N.

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
    """Beta-binomial evidence of cells around fixed means, against these means themselves."""

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
