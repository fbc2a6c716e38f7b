"""Numbers: their transforms, and the one integer histogram that all their statistics come from.

A cell of the histogram is the top 20 bits of the order-preserving bits of a float64: sign,
exponent and 8 bits of mantissa. Cells are counted, so any sharding of the rows gives the same
statistics bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import Floats
from ctrkit.schema import RESERVED, Transform

_SHIFT = np.uint64(44)
_TOP = np.uint64(1 << 63)
_LOW = np.uint64((1 << 44) - 1)


def log2(z: Floats) -> Floats:
    """The literature's transform: floor(ln(z)^2) for z > 2, else z. Not monotone.

    Source: AutoInt (arXiv 1810.11921), released code; methods.md 1.1.
    """
    large = z > 2
    logs: Floats = np.log(np.where(large, z, 1.0))
    return np.where(large, np.floor(logs**2), z)


def log2_monotone(z: Floats) -> Floats:
    """``ln(1 + |z|)^2`` with the sign of z: the monotone relative of :func:`log2`."""
    logs: Floats = np.log1p(np.abs(z))
    return np.sign(z) * logs**2


def log_category(z: Floats, transform: Transform) -> pl.Series:
    """Turn numbers into the integer categories of ``log2`` and ``log2_monotone`` buckets.

    Args:
        z: (n,) float64; NaN is missing.
        transform: ``log2`` (truncated toward zero) or ``log2_monotone`` (floor).

    Returns:
        (n,) text of integers; null where missing.
    """
    cut = np.trunc(log2(z)) if transform == "log2" else np.floor(log2_monotone(z))
    safe = np.clip(cut, -(2.0**62), 2.0**62)
    integers = pl.Series(safe).fill_nan(None).cast(pl.Int64)
    return integers.cast(pl.String)


def cells(z: Floats) -> npt.NDArray[np.uint32]:
    """Return the histogram cell of each number.

    Args:
        z: (n,) finite float64.

    Returns:
        (n,) uint32 below 2**20, in the order of the numbers.
    """
    bits = (z + 0.0).view(np.uint64)
    ordered = np.where(bits & _TOP, ~bits, bits | _TOP)
    return (ordered >> _SHIFT).astype(np.uint32)


def _from_ordered(ordered: npt.NDArray[np.uint64]) -> Floats:
    return np.where(ordered & _TOP, ordered ^ _TOP, ~ordered).view(np.float64)


def lower_bounds(cell: npt.NDArray[np.uint32]) -> Floats:
    """Return the smallest number of each cell."""
    return _from_ordered(cell.astype(np.uint64) << _SHIFT)


def representatives(cell: npt.NDArray[np.uint32]) -> Floats:
    """Return the number of least magnitude of each cell: exact for small integers."""
    ordered = cell.astype(np.uint64) << _SHIFT
    return _from_ordered(np.where(ordered & _TOP, ordered, ordered | _LOW))


def moments(cell: npt.NDArray[np.uint32], count: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return mean and (population) standard deviation from sorted cells; (0, 0) of nothing."""
    total = int(count.sum())
    if total == 0:
        return 0.0, 0.0
    share, z = count / total, representatives(cell)
    mean = math.fsum((z * share).tolist())
    with np.errstate(over="ignore"):
        squares = (z - mean) ** 2 * share
    if not np.isfinite(squares).all():
        return mean, math.inf
    return mean, math.sqrt(math.fsum(squares.tolist()))


def quantile_edges(
    cell: npt.NDArray[np.uint32], count: npt.NDArray[np.int64], bins: int
) -> tuple[float, ...]:
    """Return at most ``bins - 1`` rising edges that part the rows about evenly.

    Each edge is the lower bound of a cell; none lies at or below the first cell, so that no
    bucket is empty in training.
    """
    if len(cell) == 0:
        return ()
    running = np.cumsum(count)
    return tuple(lower_bounds(cell[_cuts(running, bins)]).tolist())


def real_edges(
    z: npt.NDArray[np.float32], count: npt.NDArray[np.int64], bins: int
) -> tuple[float, ...]:
    """Return at most ``bins - 1`` rising edges that part counted numbers about evenly.

    Args:
        z: (n,) numbers as a model reads them, in any order; equal ones are counted together.
        count: (n,) rows of each.
        bins: Most buckets; none is empty in training.
    """
    values, inverse = np.unique(z, return_inverse=True)
    if len(values) == 0:
        return ()
    running = np.cumsum(np.bincount(inverse, weights=count)).astype(np.int64)
    at = _cuts(running, bins)
    return tuple(values[at].astype(np.float64).tolist())


def _cuts(running: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.intp]:
    """Return where running counts pass each bin's share, but for the first place."""
    targets = np.arange(1, bins) * int(running[-1]) // bins
    at = np.unique(np.searchsorted(running, targets, side="right"))
    return at[at > 0]


def bucket_codes(z: Floats, edges: tuple[float, ...]) -> npt.NDArray[np.uint32]:
    """Return ``3 + number of edges <= z``; 0 where missing.

    Args:
        z: (n,) float64; NaN is missing.
        edges: Rising.

    Returns:
        (n,) uint32.
    """
    codes = RESERVED + np.searchsorted(np.asarray(edges, np.float64), z, side="right")
    return np.where(np.isnan(z), 0, codes).astype(np.uint32)


def number_codes(z: npt.NDArray[np.float32], edges: tuple[float, ...]) -> npt.NDArray[np.uint32]:
    """Return :func:`bucket_codes` of numbers as a model reads them, compared in float32.

    Args:
        z: (n,) float32; NaN is missing.
        edges: Rising.

    Returns:
        (n,) uint32, as ``torch.bucketize(z, edges, right=True) + 3``; 0 where missing.
    """
    codes = RESERVED + np.searchsorted(np.asarray(edges, np.float32), z, side="right")
    return np.where(np.isnan(z), 0, codes).astype(np.uint32)


def real_numbers(
    z: Floats, transform: Transform, mean: float = 0.0, sd: float = 1.0
) -> npt.NDArray[np.float32]:
    """Apply a real-valued transform.

    Args:
        z: (n,) float64; NaN is missing.
        transform: ``raw``, ``standard``, ``log2`` or ``log2_monotone``.
        mean: Of ``standard``.
        sd: Of ``standard``; 0 gives 0.

    Returns:
        (n,) float32; NaN is missing; finite numbers stay finite.
    """
    if transform == "standard":
        z = (z - mean) / sd if sd > 0 else z * 0.0
    elif transform == "log2":
        z = log2(z)
    elif transform == "log2_monotone":
        z = log2_monotone(z)
    limit = float(np.finfo(np.float32).max)
    return np.clip(z, -limit, limit).astype(np.float32)
