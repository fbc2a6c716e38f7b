"""What a metric is: a number about scored rows, computed in two ways that agree."""

from __future__ import annotations

from abc import ABC, abstractmethod

from numpy.typing import ArrayLike

from ctrkit.metrics.intervals import Interval
from ctrkit.metrics.sorted_rows import SortedRows


class Metric(ABC):
    """A metric of scored rows. Register a subclass by ``@register("metric", name)``.

    Its value appears under its name in ``record.json`` and in reports, and its interval under
    ``<name>_low`` and ``<name>_high``. What is undefined (no rows, one class) is nan.
    """

    @abstractmethod
    def of_rows(self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None) -> float:
        """Return the metric of rows in memory.

        Args:
            label: (n,) of 0 and 1.
            logit: (n,) logits.
            weight: (n,) weights from 0; None: ones.
        """

    @abstractmethod
    def of_sorted(self, rows: SortedRows) -> float:
        """Return the metric of many rows in little memory; equal to :meth:`of_rows`."""

    def interval_of_rows(
        self, label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None
    ) -> Interval | None:
        """Return the 95 % interval of rows in memory; None: the metric has none."""
        return None

    def interval_of_sorted(self, rows: SortedRows) -> Interval | None:
        """Return the 95 % interval of many rows; None: the metric has none."""
        return None
