"""Numbers as categories: a vocabulary of the integer parts of a logarithmic transform."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import polars as pl

from ctrkit.data.columns.numbers import Floats, to_numbers
from ctrkit.data.encode.real import log2, log2_monotone
from ctrkit.data.encode.vocabulary import Vocabulary
from ctrkit.registry import register

_LIMIT = 2.0**62  # an int64 holds it


class LogBucket(Vocabulary):
    """A vocabulary of integers that a transform makes of numbers."""

    @abstractmethod
    def integers(self, z: Floats) -> Floats:
        """Return whole numbers ``(n,)``, the categories; NaN stays NaN."""

    def text(self, values: pl.Series) -> pl.Series:
        """Return the integers of raw values in text ``(n,)``; null where missing."""
        safe = np.clip(self.integers(to_numbers(values)), -_LIMIT, _LIMIT)
        return pl.Series(safe).fill_nan(None).cast(pl.Int64).cast(pl.String)


@register("bucket", "log2", paper="arXiv:1810.11921")
class Log2Bucket(LogBucket):
    """floor(ln(z)^2) for z > 2, else z truncated toward zero, as a category."""

    def integers(self, z: Floats) -> Floats:
        """Return :func:`~ctrkit.data.encode.real.log2`, truncated."""
        return np.trunc(log2(z))


@register("bucket", "log2_monotone")
class Log2MonotoneBucket(LogBucket):
    """The floor of ln(1 + |z|)^2 with the sign of z, as a category."""

    def integers(self, z: Floats) -> Floats:
        """Return the floor of :func:`~ctrkit.data.encode.real.log2_monotone`."""
        return np.floor(log2_monotone(z))
