"""The class of each row: that of its label, and the part of the data that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.labels import is_binary, label_array
from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.shown import shown
from ctrkit.data.columns.text import to_text
from ctrkit.data.columns.times import TimeColumn, count_times
from ctrkit.data.encode.edges import quantile_edges
from ctrkit.data.encode.histogram import cells, lower_bounds
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.data.split.by_column import ColumnSplit
from ctrkit.errors import DataError, SchemaError
from ctrkit.rank.row_weights import RowWeights, row_weights
from ctrkit.schema import Schema

MAX_CLASSES = 64
LABEL_BINS = 10
PERIODS = 3
Classes = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowClasses:
    """How rows are classed: ``period * classes + class of the label``.

    Attributes:
        schema: Schema that names the label, and the time and weight where there are any.
        names: Names of the label's classes.
        edges: Ascending bounds of the classes of a numeric label; empty: the label has classes.
        bounds: First time (or row number) of the second and third period; None: one period.
        time: Time column of the bounds; None: the bounds are row numbers.
        offsets: Row number of each file's first row, where bounds are row numbers.
        weights: Weights of the rows; None: each counts once.
        split: Split by a column, whose parts are the periods; None: the bounds are.
    """

    schema: Schema
    names: tuple[str, ...] = ("0", "1")
    edges: tuple[float, ...] = ()
    bounds: tuple[float, float] | None = None
    time: TimeColumn | None = None
    offsets: tuple[int, ...] = ()
    weights: RowWeights | None = None
    split: SplitPlan | None = None

    @property
    def classes(self) -> int:
        """Number of classes of the label."""
        return len(self.names)

    @property
    def width(self) -> int:
        """Number of classes of a row."""
        return self.classes * (PERIODS if self.periods else 1)

    @property
    def periods(self) -> str | None:
        """What the periods are cut by, in words; None: one period."""
        if self.split is not None:
            return "splits"
        if self.bounds is None:
            return None
        return "thirds by file order" if self.time is None else "thirds by time"

    @property
    def columns(self) -> list[str]:
        """Columns that are read."""
        s = self.schema
        named = [s.label, s.weight, self.time.name if self.time else None]
        named.append(self.split.column if self.split else None)
        return [c for c in dict.fromkeys(named) if c is not None]

    def of(self, chunk: Chunk) -> Classes:
        """Return the class of each row of a chunk.

        Raises:
            DataError: A label, or a time, cannot be read.
        """
        label = self.label_of(chunk)
        if self.split is not None:
            return (self.split.assign(chunk) * self.classes + label).astype(np.uint8)
        if self.bounds is None:
            return label
        if self.time is None:
            start = self.offsets[chunk.file] + chunk.first_row
            times: npt.NDArray[Any] = start + np.arange(chunk.frame.height)
        else:
            times = self.time.read(chunk.frame, chunk.first_row)
        period = np.searchsorted(np.asarray(self.bounds), times, side="right")
        return (period * self.classes + label).astype(np.uint8)

    def label_of(self, chunk: Chunk) -> Classes:
        """Return the class of the label in each row of a chunk.

        Raises:
            DataError: A label cannot be read.
        """
        if self.names == ("0", "1") and not self.edges:
            return label_array(chunk.frame, self.schema, chunk.first_row)
        values = chunk.frame[self.schema.label or ""]
        if self.edges:
            z = to_numbers(values)
            self._check(np.isnan(z), values, chunk)
            return np.searchsorted(np.asarray(self.edges), z, side="right").astype(np.uint8)
        text = to_text(values)
        codes = text.cast(pl.Enum(self.names), strict=False).to_physical()
        self._check(codes.is_null().to_numpy(), values, chunk)
        return codes.to_numpy().astype(np.uint8)

    def _check(self, bad: npt.NDArray[np.bool_], values: pl.Series, chunk: Chunk) -> None:
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"label {self.schema.label!r} must have one of its classes in every row; got "
                f"{shown(values, row)} in row {chunk.first_row + row}: filter such rows"
            )

    def weight_of(self, chunk: Chunk) -> Weights | None:
        """Return how often each row counts; None: once.

        Raises:
            DataError: A weight is invalid.
        """
        return None if self.weights is None else self.weights.of(chunk)


def row_classes(source: Source, schema: Schema) -> RowClasses:
    """Decide how rows are classed; read the label and time as far as needed.

    A label of 0 and 1 needs no pass; more classes, a time, or several files need one over the
    label's (and the time's) column; weights need one over theirs. Periods are the splits that a
    column names, else thirds of the rows by time, else by file order.

    Raises:
        SchemaError: The schema declares no label.
        DataError: The label is unreadable, or has one class or too many; a weight is invalid.
    """
    return replace(_row_classes(source, schema), weights=row_weights(source, schema))


def _row_classes(source: Source, schema: Schema) -> RowClasses:
    if schema.label is None:
        raise SchemaError("the schema declares no label; name its column with --label")
    names, edges = _label_classes(source, schema.label)
    split = schema.effective_split
    if split.by == "column" and split.column in source.columns:
        return RowClasses(schema, names, edges, split=ColumnSplit(split))
    if schema.time is not None:
        column = TimeColumn.of(source, schema.time)
        times, counts = count_times(source, column)
        total = np.cumsum(counts)
        cut = [int(np.searchsorted(total, total[-1] * i / PERIODS)) for i in (1, 2)]
        if 0 <= cut[0] < cut[1] < len(times) - 1:
            bounds = (float(times[cut[0] + 1]), float(times[cut[1] + 1]))
            return RowClasses(schema, names, edges, bounds, column)
    elif len(source.files) > 1:
        sizes = [_rows(source, i, schema.label) for i in range(len(source.files))]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        rows = int(offsets[-1])
        if rows >= PERIODS:
            bounds = (float(rows // PERIODS), float(2 * rows // PERIODS))
            starts = tuple(int(v) for v in offsets[:-1])
            return RowClasses(schema, names, edges, bounds, None, starts)
    return RowClasses(schema, names, edges)


def _rows(source: Source, ordinal: int, column: str) -> int:
    return sum(c.frame.height for c in source.file_frames(ordinal, [column]))


def _labels(source: Source, label: str) -> Iterator[Chunk]:
    for ordinal in range(len(source.files)):
        yield from source.file_frames(ordinal, [label], rows=1)


def _label_classes(source: Source, label: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    head = next(_labels(source, label), None)
    if head is None:
        raise DataError("the data has no rows")
    first = head.frame[label]
    if is_binary(first):
        return ("0", "1"), ()
    if first.dtype.is_float() or first.dtype.is_decimal():
        return _bins(source, label)
    seen: set[str] = set()
    for chunk in _labels(source, label):
        with source.locating(chunk):
            distinct = to_text(chunk.frame[label]).unique()
        if distinct.null_count():
            raise DataError(f"label {label!r} must have a value in every row; some are missing")
        seen.update(distinct.to_list())
        if len(seen) > MAX_CLASSES:
            if first.dtype.is_integer():
                return _bins(source, label)
            raise DataError(
                f"label {label!r} must be 0/1, at most {MAX_CLASSES} classes, or a number (which "
                "is cut into deciles); it is text with more values"
            )
    if len(seen) < 2:
        raise DataError(_one_class(label, repr(next(iter(seen)))))
    return tuple(sorted(seen)), ()


def _one_class(label: str, value: str) -> str:
    return (
        f"label {label!r} must have at least two classes; got {value} in every row: name another "
        "label"
    )


def _bins(source: Source, label: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    count = np.zeros(1 << 20, np.int64)
    for chunk in _labels(source, label):
        with source.locating(chunk):
            z = to_numbers(chunk.frame[label])
        if np.isnan(z).any():
            raise DataError(f"label {label!r} must have a value in every row; some are missing")
        count += np.bincount(cells(z), minlength=1 << 20)
    occurring = np.flatnonzero(count).astype(np.uint32)
    edges = quantile_edges(occurring, count[occurring], LABEL_BINS)
    if not edges:
        raise DataError(_one_class(label, f"{lower_bounds(occurring)[0]:g}"))
    inner = [f"{a:g} to {b:g}" for a, b in pairwise(edges)]
    return (f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}"), edges
