"""Bucket edges of numbers, and codes by buckets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.numbers import Floats
from ctrkit.data.encode.histogram import Cells, Counted, lower_bounds
from ctrkit.schema import MISSING, RESERVED

Codes = npt.NDArray[np.uint32]


def quantile_edges(cell: Cells, count: Counted, bins: int) -> tuple[float, ...]:
    """Return at most ``bins - 1`` rising edges that split the rows about evenly.

    Each edge is the lower bound of a cell; none lies at or below the first cell, so that no
    bucket is empty in training.

    Args:
        cell: (n,) rising histogram cells.
        count: (n,) rows in each.
        bins: Maximum number of buckets.
    """
    if len(cell) == 0:
        return ()
    running = np.cumsum(count)
    return tuple(lower_bounds(cell[_cuts(running, bins)]).tolist())


def real_edges(z: npt.NDArray[np.float32], count: Counted, bins: int) -> tuple[float, ...]:
    """Return at most ``bins - 1`` rising edges that split counted numbers about evenly.

    Args:
        z: (n,) numbers as a model reads them, in any order; equal ones are counted together.
        count: (n,) rows of each.
        bins: Maximum number of buckets; none is empty in training.
    """
    values, inverse = np.unique(z, return_inverse=True)
    if len(values) == 0:
        return ()
    running = np.cumsum(np.bincount(inverse, weights=count)).astype(np.int64)
    at = _cuts(running, bins)
    return tuple(values[at].astype(np.float64).tolist())


def _cuts(running: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.intp]:
    """Return where running counts pass each bin's share, except the first place."""
    targets = np.arange(1, bins) * int(running[-1]) // bins
    at = np.unique(np.searchsorted(running, targets, side="right"))
    return at[at > 0]


def bucket_codes(z: Floats, edges: tuple[float, ...]) -> Codes:
    """Return ``3 + number of edges <= z``; 0 where missing.

    Args:
        z: (n,) float64; NaN is missing.
        edges: Rising.

    Returns:
        (n,) uint32.
    """
    codes = RESERVED + np.searchsorted(np.asarray(edges, np.float64), z, side="right")
    return np.where(np.isnan(z), MISSING, codes).astype(np.uint32)


def number_codes(z: npt.NDArray[np.float32], edges: tuple[float, ...]) -> Codes:
    """Return :func:`bucket_codes` of numbers as a model reads them, compared in float32.

    Args:
        z: (n,) float32; NaN is missing.
        edges: Rising.

    Returns:
        (n,) uint32, as ``torch.bucketize(z, edges, right=True) + 3``; 0 where missing.
    """
    codes = RESERVED + np.searchsorted(np.asarray(edges, np.float32), z, side="right")
    return np.where(np.isnan(z), MISSING, codes).astype(np.uint32)
