"""The sampled rows of a ranking, as flags that look at whole rows read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.epoch import seconds_of
from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.sample import RowSample
from ctrkit.rank.feature import Feature
from ctrkit.rank.joint import keys_of
from ctrkit.rank.null import Floats
from ctrkit.schema import Field, Schema

CODES = 16
"""Codes of a column: its most frequent values, or bins of a number; the last is all else."""
CODED_ROWS = 8_192
_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True)
class SampledRows:
    """A sample of whole rows.

    Attributes:
        sample: The rows, with label and part.
        schema: What the columns mean.
        features: Fields by name, as counted over all rows.
        entropy: Entropy of the label in nats.
    """

    sample: RowSample
    schema: Schema
    features: Mapping[str, Feature]
    entropy: float

    @property
    def frame(self) -> pl.DataFrame:
        """``(n,)`` raw rows."""
        return self.sample.frame

    @cached_property
    def label(self) -> npt.NDArray[np.int64]:
        """``(n,)`` class of the label in each row."""
        return self.sample.label.astype(np.int64)

    def times(self) -> Floats | None:
        """Return ``(n,)`` seconds since 1970 of the rows; None: no time, or one without a date."""
        if self.schema.time is None or self.schema.time not in self.frame.columns:
            return None
        return seconds_of(self.frame.get_column(self.schema.time))

    def codes(self, name: str) -> npt.NDArray[np.int64]:
        """Return codes below ``CODES`` of a field in the first ``CODED_ROWS`` rows; missing too."""
        cached = self._codes.get(name)
        if cached is None:
            cached = self._codes[name] = _codes(
                self.frame.head(CODED_ROWS), self.schema.field(name)
            )
        return cached

    def shown(self, name: str, code: int) -> str:
        """Return the value of a code, or the range of its numbers, as text of a few words."""
        values = self.frame.get_column(name).head(CODED_ROWS).filter(self.codes(name) == code)
        if self.schema.field(name).kind == "numeric":
            numbers = to_numbers(values)
            return "missing" if np.isnan(numbers).all() else _range(numbers)
        text = repr(values[0] if not values.dtype.is_nested() else values[0].to_list())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."

    @cached_property
    def _codes(self) -> dict[str, npt.NDArray[np.int64]]:
        return {}


def _range(numbers: Floats) -> str:
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _codes(frame: pl.DataFrame, field: Field) -> npt.NDArray[np.int64]:
    if field.name not in frame.columns:
        return np.zeros(frame.height, np.int64)
    values = frame.get_column(field.name)
    if field.kind == "numeric":
        numbers = to_numbers(values)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return np.zeros(frame.height, np.int64)
        edges = np.unique(np.quantile(known, np.arange(1, CODES - 2) / (CODES - 2)))
        codes = np.searchsorted(edges, numbers, side="right").astype(np.int64)
        codes[np.isnan(numbers)] = CODES - 1
        return codes
    keys = keys_of(values, field).hash(seed=0).to_numpy()
    _, place, count = np.unique(keys, return_inverse=True, return_counts=True)
    often = np.argsort(-count, kind="stable")[: CODES - 1]
    codes = np.full(len(count), CODES - 1)
    codes[often] = np.arange(len(often))
    result: npt.NDArray[np.int64] = codes[place]
    return result
