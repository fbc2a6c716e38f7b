"""How reports write figures: numbers, intervals, means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Protocol

DASH = "–"
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
DIFFERENCE_NOTE = (
    "difference: log loss of the search minus that of the control on the same test rows; negative: "
    "the search is better. The 95 % interval is over rows with one seed, over seeds with several."
)


def number(value: float | None, digits: int | None = None) -> str:
    """Write a number with 3 significant digits, or with ``digits`` decimals; None as a dash."""
    if value is None:
        return DASH
    return f"{value:.3g}" if digits is None else f"{value:.{digits}f}"


def text(value: object) -> str:
    """Write any value; None as a dash."""
    return DASH if value is None else str(value)


def interval(ends: Sequence[float]) -> str:
    """Write an interval with 3 significant digits."""
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def series(values: Iterable[float | None], form: str) -> str:
    """Write numbers one after the other in a format such as ``{:.1%}``; None as a dash."""
    return ", ".join(DASH if v is None else form.format(v) for v in values)


def average(values: Iterable[float]) -> float:
    """Return the mean."""
    return float(statistics.mean(list(values)))


def mean_and_spread(values: Sequence[float], digits: int = 5) -> str:
    """Write a mean, with the standard deviation where there are several values."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


class PairedInterval(Protocol):
    """A paired difference and the ends of its 95 % interval."""

    @property
    def difference(self) -> float:
        """The difference."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


def difference(tests: Sequence[PairedInterval]) -> str:
    """Write a paired difference with its 95 % interval: over rows, or over several seeds."""
    values = [t.difference for t in tests]
    if len(values) == 1:
        return f"{values[0]:+.5f} ({tests[0].low:+.5f} to {tests[0].high:+.5f})"
    mean, n = statistics.mean(values), len(values)
    reach = _T95.get(n - 1, 1.96) * statistics.stdev(values) / math.sqrt(n)
    return f"{mean:+.5f} ({mean - reach:+.5f} to {mean + reach:+.5f})"
