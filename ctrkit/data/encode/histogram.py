"""The integer histogram of a column of numbers, which all their statistics come from.

A cell of the histogram is the top 20 bits of the order-preserving bits of a float64: sign,
exponent and 8 bits of mantissa. Cells are counted, so any sharding of the rows gives the same
statistics bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers

LARGE = 1e150
"""The square of a larger number may be infinite."""
_SHIFT = np.uint64(44)
_TOP = np.uint64(1 << 63)
_LOW = np.uint64((1 << 44) - 1)
CELL_WIDTH = " (to one part in 256)"
"""Relative width of a cell, as messages state it."""
Cells = npt.NDArray[np.uint32]
Counted = npt.NDArray[np.int64]


def cells(z: Floats) -> Cells:
    """Return the histogram cell of each number.

    Args:
        z: (n,) finite float64.

    Returns:
        (n,) uint32 below 2**20, in the order of the numbers.
    """
    bits = (z + 0.0).view(np.uint64)
    ordered = np.where(bits & _TOP, ~bits, bits | _TOP)
    return (ordered >> _SHIFT).astype(np.uint32)


def cell_keys(values: pl.Series) -> tuple[pl.Series, int]:
    """Return the cells of the numbers of a raw column, and how many are missing.

    Raises:
        DataError: A value is not a number.
    """
    z = to_numbers(values)
    present = ~np.isnan(z)
    return pl.Series(cells(z[present])), int(len(z) - present.sum())


def cell_counts(table: pl.DataFrame) -> tuple[Cells, Counted]:
    """Return the cells of a table of counts, rising, and the count of each."""
    return table["value"].to_numpy(), table["count"].to_numpy()


def _from_ordered(ordered: npt.NDArray[np.uint64]) -> Floats:
    return np.where(ordered & _TOP, ordered ^ _TOP, ~ordered).view(np.float64)


def lower_bounds(cell: Cells) -> Floats:
    """Return the smallest number of each cell."""
    return _from_ordered(cell.astype(np.uint64) << _SHIFT)


def representatives(cell: Cells) -> Floats:
    """Return the number of least magnitude of each cell: exact for small integers."""
    ordered = cell.astype(np.uint64) << _SHIFT
    return _from_ordered(np.where(ordered & _TOP, ordered, ordered | _LOW))


def moments(cell: Cells, count: Counted) -> tuple[float, float]:
    """Return mean and (population) standard deviation of counted cells; (0, 0) of nothing.

    Args:
        cell: (n,) rising cells.
        count: (n,) rows in each.
    """
    total = int(count.sum())
    if total == 0:
        return 0.0, 0.0
    share, z = count / total, representatives(cell)
    mean = math.fsum((z * share).tolist())
    largest = float(np.abs(z).max())
    unit = 1.0 if largest < LARGE else largest  # whose square is finite
    squares = (z / unit - mean / unit) ** 2 * share
    return mean, unit * math.sqrt(math.fsum(squares.tolist()))
