"""The boundaries of a split by time, in flat memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.times import Times, time_numbers
from ctrkit.data.read.sources import Source

CELLS = 1 << 20


def histogram(source: Source, column: str, calendar: bool) -> tuple[Times, npt.NDArray[np.int64]]:
    """Count the rows per time; beyond ``CELLS`` distinct times per cell of equal width.

    Returns:
        Ascending times (lower ends of cells) that have rows, (k,), and their rows, (k,).
    """
    seen: Times = np.empty(0, np.int64)
    counts = np.empty(0, np.int64)
    low, high, exact = np.inf, -np.inf, True
    for chunk in source.chunks([column]):
        times = time_numbers(chunk.frame[column], calendar)
        low, high = min(low, times.min()), max(high, times.max())
        if exact:
            values, found = np.unique(times, return_counts=True)
            seen, where = np.unique(np.concatenate([seen, values]), return_inverse=True)
            total = np.zeros(len(seen), np.int64)
            np.add.at(total, where, np.concatenate([counts, found]))
            counts, exact = total, len(seen) <= CELLS
    return (seen, counts) if exact else _cells(source, column, calendar, low, high)


def _cells(
    source: Source, column: str, calendar: bool, low: float, high: float
) -> tuple[Times, npt.NDArray[np.int64]]:
    whole = isinstance(low, np.integer)
    width = -(-(int(high) - int(low) + 1) // CELLS) if whole else (high - low) / (CELLS - 1)
    counts = np.zeros(CELLS, np.int64)
    for chunk in source.chunks([column]):
        times = time_numbers(chunk.frame[column], calendar)
        cell = ((times - low) // width).astype(np.int64)
        counts += np.bincount(np.clip(cell, 0, CELLS - 1), minlength=CELLS)
    kept = np.flatnonzero(counts)
    lower: Times = np.asarray(low + kept * width)
    return lower, counts[kept]


def boundaries(
    times: Times, counts: npt.NDArray[np.int64], ratios: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the first time of validation and of test, shares as near the ratios as can be."""
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) / counts.sum()
    shares = np.cumsum(ratios) / sum(ratios)
    first = 1 + int(np.argmin(np.abs(before[1:-1] - shares[0])))
    second = first + 1 + int(np.argmin(np.abs(before[first + 1 :] - shares[1])))
    return times[first].item(), times[second].item()
