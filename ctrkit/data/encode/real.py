"""Numbers that stay real: each transform is one class with one hook.

Each also keeps edges that split its transformed training values about evenly; crosses use them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers
from ctrkit.data.encode.edges import real_edges
from ctrkit.data.encode.field import FieldCounts, FieldEncoder, Mask
from ctrkit.data.encode.histogram import (
    CELL_WIDTH,
    LARGE,
    cell_counts,
    cell_keys,
    lower_bounds,
    moments,
)
from ctrkit.data.encode.state import FieldState
from ctrkit.registry import register

_LIMIT = float(np.finfo(np.float32).max)


class RealEncoder(FieldEncoder):
    """Encodes a column as one real number per row; a subclass gives :meth:`transform`."""

    kind = "numeric"
    precision = CELL_WIDTH

    @abstractmethod
    def transform(self, z: Floats) -> Floats:
        """Return transformed numbers ``(n,)``; NaN stays NaN. It may use mean and sd of the state.

        Args:
            z: (n,) float64; NaN is missing.
        """

    def read(self, z: Floats) -> npt.NDArray[np.float32]:
        """Return numbers as a model reads them: transformed, finite float32; NaN is missing."""
        return np.clip(self.transform(z), -_LIMIT, _LIMIT).astype(np.float32)

    def encode(self, values: pl.Series) -> npt.NDArray[np.float32]:
        """Return a raw column as a model reads it.

        Args:
            values: (n,) raw values.

        Returns:
            (n,) float32; NaN is missing.

        Raises:
            DataError: A value is not a number.
        """
        return self.read(to_numbers(values))

    @property
    def key_type(self) -> pl.DataType | None:
        """Numbers are counted by histogram cells."""
        return pl.UInt32()

    def keys(self, values: pl.Series) -> tuple[pl.Series, int]:
        """Return the histogram cells of the numbers, and how many are missing."""
        return cell_keys(values)

    def fit(self, counts: FieldCounts) -> FieldEncoder:
        """Keep mean, standard deviation and the edges of the transformed values."""
        assert counts.table is not None
        cell, count = cell_counts(counts.table)
        mean, sd = moments(cell, count)
        state = FieldState(mean=mean, sd=sd, missing=counts.missing, distinct=counts.table.height)
        fitted = self.with_state(state)
        edges = real_edges(fitted.read(lower_bounds(cell)), count, self.field.bins)
        return self.with_state(replace(state, edges=edges))

    def names(self) -> None:
        """Return None: a number has no code."""

    def pruned(self, kept: Mask) -> FieldEncoder:
        """Return the same encoder: a number has no codes to drop."""
        return self


@register("transform", "raw")
class Raw(RealEncoder):
    """The number itself."""

    def transform(self, z: Floats) -> Floats:
        """Return the numbers."""
        return z


@register("transform", "standard")
class Standard(RealEncoder):
    """Zero mean and unit standard deviation in training; 0 for a constant."""

    def transform(self, z: Floats) -> Floats:
        """Return ``(z - mean) / sd``."""
        mean, sd = self.state.mean, self.state.sd
        if sd > LARGE:  # z - mean might be infinite
            return z / sd - mean / sd
        return (z - mean) / sd if sd > 0 else z * 0.0


@register("transform", "log2", paper="arXiv:1810.11921")
class Log2(RealEncoder):
    """floor(ln(z)^2) for z > 2, else z: the transform of the literature, not monotone."""

    def transform(self, z: Floats) -> Floats:
        """Return :func:`log2` of the numbers."""
        return log2(z)


@register("transform", "log2_monotone")
class Log2Monotone(RealEncoder):
    """ln(1 + |z|)^2 with the sign of z: the monotone relative of log2."""

    def transform(self, z: Floats) -> Floats:
        """Return :func:`log2_monotone` of the numbers."""
        return log2_monotone(z)


def log2(z: Floats) -> Floats:
    """Return floor(ln(z)^2) for z > 2, else z. Not monotone.

    Source: AutoInt (arXiv:1810.11921), as its authors' code computes it; see "Numbers" in
    ``docs/methods.md``.
    """
    large = z > 2
    logs: Floats = np.log(np.where(large, z, 1.0))
    return np.where(large, np.floor(logs**2), z)


def log2_monotone(z: Floats) -> Floats:
    """Return ``ln(1 + |z|)^2`` with the sign of z: the monotone relative of :func:`log2`."""
    logs: Floats = np.log1p(np.abs(z))
    return np.sign(z) * logs**2
