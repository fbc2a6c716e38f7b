"""Mutual information of two features, adjusted for chance.

Source: Vinh, Epps, Bailey, JMLR 11 (2010): adjusted mutual information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrkit.rank.coded import Coded, Pair, cell_parts, parallel
from ctrkit.rank.null import Ints, expected_xlogx, xlogx
from ctrkit.rank.spectrum import Histogram

_EMI_BUDGET = 200_000  # terms up to which every expectation is summed exactly


@dataclass(frozen=True)
class Alike:
    """How similar two features are.

    Attributes:
        pair: Positions of both.
        ami: Adjusted mutual information, by the arithmetic mean of the entropies.
        exact: Whether every term of its expectation is exact.
    """

    pair: Pair
    ami: float
    exact: bool


def likeness(
    coded: Coded, counts: Sequence[Ints], threshold: float, pairs: Sequence[Pair]
) -> list[Alike]:
    """Return the pairs whose adjusted mutual information reaches a threshold.

    The score of a pair falls with its expectation E, which is at least ``H_a + H_b - ln N``, and
    MI is at most ``min(H)``: pairs that these bounds exclude are not computed further.

    Args:
        coded: Rows.
        counts: (size,) rows of each code, for each feature.
        threshold: Lowest adjusted mutual information.
        pairs: Positions of both features.
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
        joint = sum(xlogx(counts[:, 0]).sum() for _, counts in cell_parts(unlabelled, pair))
        mi = entropy[a] + entropy[b] - (np.log(n) - joint / n)
        least = max(0.0, entropy[a] + entropy[b] - np.log(n))  # of the expectation: E sum g >= 0
        if mi - least < threshold * (mean - least):
            return None
        emi, exact = expected_mi(counts[a], counts[b])
        ami = (mi - emi) / (mean - emi) if mean - emi > 1e-12 else 1.0
        return Alike(pair, float(ami), exact) if ami >= threshold else None

    compared = parallel(compare, [p for p in pairs if close(p)])
    return [alike for alike in compared if alike is not None]


def shared_information(coded: Coded, counts: Sequence[Ints], pair: Pair) -> float:
    """Return the mutual information of two features minus its expectation, in nats."""
    a, b = pair
    n = int(counts[a].sum())
    unlabelled = Coded(coded.columns, coded.sizes, np.zeros_like(coded.label), 1, coded.weight)
    joint = float(sum(xlogx(c[:, 0]).sum() for _, c in cell_parts(unlabelled, pair)))
    mi = (joint - float(xlogx(counts[a]).sum()) - float(xlogx(counts[b]).sum())) / n + np.log(n)
    return float(mi) - expected_mi(counts[a], counts[b])[0]


def expected_mi(a: Ints, b: Ints) -> tuple[float, bool]:
    """Return the expected mutual information of two features under permutation.

    Args:
        a: (n,) rows of each value of one feature.
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
