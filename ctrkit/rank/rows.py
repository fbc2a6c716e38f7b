"""What class a row belongs to: its label's, and the third of the data that it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.labels import is_binary, label_array
from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.text import to_text
from ctrkit.data.columns.times import TimeColumn, count_times
from ctrkit.data.columns.weights import whole_weights
from ctrkit.data.encode.numeric import cells, lower_bounds, quantile_edges
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError, SchemaError
from ctrkit.schema import Schema

MAX_CLASSES = 64
LABEL_BINS = 10
PERIODS = 3
Classes = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowClasses:
    """How to tell a row's class: ``period * classes + label class``.

    Attributes:
        schema: Names the label, and the time and weight where there are any.
        names: Of the label's classes.
        edges: Where the label is a quantity: the rising bounds of its classes.
        bounds: First time (or row number) of the second and third period; None: one period.
        time: Time column that the bounds are of; None: they are row numbers.
        offsets: Row number of each file's first row, where bounds are row numbers.
    """

    schema: Schema
    names: tuple[str, ...] = ("0", "1")
    edges: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None
    time: TimeColumn | None = None
    offsets: tuple[int, ...] = ()

    @property
    def classes(self) -> int:
        """Classes of the label."""
        return len(self.names)

    @property
    def width(self) -> int:
        """Classes of a row."""
        return self.classes * (PERIODS if self.bounds else 1)

    @property
    def columns(self) -> list[str]:
        """Columns that are read."""
        s = self.schema
        named = [s.label, s.weight, self.time.name if self.time else None]
        return [c for c in dict.fromkeys(named) if c is not None]

    def of(self, chunk: Chunk) -> Classes:
        """Return the class of each row of a chunk.

        Raises:
            DataError: A label, or a time, cannot be read.
        """
        label = self.label_of(chunk)
        if self.bounds is None:
            return label
        if self.time is None:
            start = self.offsets[chunk.file] + chunk.first_row
            at: npt.NDArray[Any] = start + np.arange(chunk.frame.height)
        else:
            at = self.time.read(chunk.frame)
        period = np.searchsorted(np.asarray(self.bounds), at, side="right")
        return (period * self.classes + label).astype(np.uint8)

    def label_of(self, chunk: Chunk) -> Classes:
        """Return the label's class of each row of a chunk."""
        if self.names == ("0", "1") and not self.edges:
            return label_array(chunk.frame, self.schema, chunk.first_row)
        values = chunk.frame[self.schema.label or ""]
        if self.edges:
            z = to_numbers(values)
            self._whole(np.isnan(z), values, chunk)
            return np.searchsorted(np.asarray(self.edges), z, side="right").astype(np.uint8)
        text = to_text(values)
        codes = text.cast(pl.Enum(self.names), strict=False).to_physical()
        self._whole(codes.is_null().to_numpy(), values, chunk)
        return codes.to_numpy().astype(np.uint8)

    def _whole(self, bad: npt.NDArray[np.bool_], values: pl.Series, chunk: Chunk) -> None:
        if bad.any():
            at = int(bad.argmax())
            raise DataError(
                f"label {self.schema.label!r} has a class in every row; row "
                f"{chunk.first_row + at} holds {values[at]!r}: filter such rows"
            )

    def weight_of(self, chunk: Chunk) -> Weights | None:
        """Return how often each row counts; None: once.

        Raises:
            DataError: A weight is no whole number from 0.
        """
        return whole_weights(chunk.frame, self.schema, chunk.first_row)


def row_classes(source: Source, schema: Schema) -> RowClasses:
    """Look at label and time, as far as needed, and say how rows are classed.

    A label of 0 and 1 needs no pass; more classes, a time, or several files need one over the
    label's (and the time's) column. Periods are thirds of the rows by time, else by file order.

    Raises:
        SchemaError: The schema declares no label.
        DataError: The label is unreadable, or has one class or too many.
    """
    if schema.label is None:
        raise SchemaError("the schema declares no label; name its column by --label")
    names, edges = _label_classes(source, schema.label)
    found = RowClasses(schema, names, edges)
    if schema.time is not None:
        column = TimeColumn.of(source, schema.time)
        times, counts = count_times(source, column)
        before = np.cumsum(counts)
        cut = [int(np.searchsorted(before, before[-1] * i / PERIODS)) for i in (1, 2)]
        if 0 <= cut[0] < cut[1] < len(times) - 1:
            bounds = (float(times[cut[0] + 1]), float(times[cut[1] + 1]))
            return RowClasses(schema, names, edges, bounds, column)
    elif len(source.files) > 1:
        sizes = [_rows(source, i, schema.label) for i in range(len(source.files))]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        total = int(offsets[-1])
        if total >= PERIODS:
            bounds = (float(total // PERIODS), float(2 * total // PERIODS))
            starts = tuple(int(v) for v in offsets[:-1])
            return RowClasses(schema, names, edges, bounds, None, starts)
    return found


def _rows(source: Source, ordinal: int, column: str) -> int:
    return sum(c.frame.height for c in source.file_frames(ordinal, [column]))


def _labels(source: Source, label: str) -> Iterator[pl.Series]:
    for ordinal in range(len(source.files)):
        for chunk in source.file_frames(ordinal, [label], rows=1):
            yield chunk.frame[label]


def _label_classes(source: Source, label: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    first = next(_labels(source, label), None)
    if first is None:
        raise DataError("the data has no rows")
    if is_binary(first):
        return ("0", "1"), ()
    if first.dtype.is_float() or first.dtype.is_decimal():
        return _bins(source, label)
    seen: set[str] = set()
    for values in _labels(source, label):
        distinct = to_text(values).unique()
        if distinct.null_count():
            raise DataError(f"label {label!r} has a value in every row; some are missing")
        seen.update(distinct.to_list())
        if len(seen) > MAX_CLASSES:
            if first.dtype.is_integer():
                return _bins(source, label)
            raise DataError(
                f"label {label!r} has more than {MAX_CLASSES} values: a label is 0/1, a few "
                "classes, or a number (then it is cut into quantiles)"
            )
    if len(seen) < 2:
        raise DataError(f"label {label!r} is {next(iter(seen))!r} in every row: nothing to rank by")
    return tuple(sorted(seen)), ()


def _bins(source: Source, label: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    count = np.zeros(1 << 20, np.int64)
    for values in _labels(source, label):
        z = to_numbers(values)
        if np.isnan(z).any():
            raise DataError(f"label {label!r} has a value in every row; some are missing")
        count += np.bincount(cells(z), minlength=1 << 20)
    at = np.flatnonzero(count).astype(np.uint32)
    edges = quantile_edges(at, count[at], LABEL_BINS)
    if not edges:
        value = lower_bounds(at)[0]
        raise DataError(f"label {label!r} is {value:g} in every row: nothing to rank by")
    inner = [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
    return (f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}"), edges
