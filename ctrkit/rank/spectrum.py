"""Histograms of counts: all that the scores of a feature are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrkit.rank.null import Ints, over_classes

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
            values = np.bincount(counts)
            values[0] = 0
            occurring = np.flatnonzero(values)
            return cls(occurring, values[occurring])
        count, values = np.unique(counts[counts > 0], return_counts=True)
        return cls(count.astype(np.int64), values)


@dataclass(frozen=True)
class Spectrum:
    """All that single-feature scores need of a count table.

    Attributes:
        size: Histogram of the values' counts m.
        classes: Histograms of the values' counts k in each class.
        values: Number of distinct values.
    """

    size: Histogram
    classes: tuple[Histogram, ...]
    values: int

    @classmethod
    def of(cls, table: Ints) -> Spectrum:
        """Make the spectrum of a table (values, C) of counts; empty rows are left out."""
        size = over_classes(table)
        classes = tuple(Histogram.of(table[:, c]) for c in range(table.shape[1]))
        return cls(Histogram.of(size), classes, int(np.count_nonzero(size)))
