"""Figures over seeds, as text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
DIFFERENCE_NOTE = (
    "The difference is the search's log loss less the control's, on the same test rows; below "
    "zero the search is better. One seed: the interval is over rows; several: over seeds."
)


def average(values: Iterable[float]) -> float:
    """Return the mean."""
    return float(statistics.mean(list(values)))


def mean_and_spread(values: Sequence[float]) -> str:
    """Write a mean, and the standard deviation where there are several values."""
    if len(values) == 1:
        return f"{values[0]:.5f}"
    return f"{statistics.mean(values):.5f} ± {statistics.stdev(values):.5f}"


def difference(tests: Sequence[dict[str, float]]) -> str:
    """Write a paired difference with its 95 % interval: over rows, or over several seeds."""
    values = [t["difference"] for t in tests]
    if len(values) == 1:
        return f"{values[0]:+.5f} ({tests[0]['low']:+.5f} to {tests[0]['high']:+.5f})"
    mean, n = statistics.mean(values), len(values)
    reach = _T95.get(n - 1, 1.96) * statistics.stdev(values) / math.sqrt(n)
    return f"{mean:+.5f} ({mean - reach:+.5f} to {mean + reach:+.5f})"
