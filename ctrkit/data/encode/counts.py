"""Training counts of every field's values: one pass, memory in distinct values, mergeable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from ctrkit.data.columns.parallel import by_column
from ctrkit.data.encode.field import FieldCounts, FieldEncoder
from ctrkit.data.encode.lookup import ABSENT, Lookup
from ctrkit.data.encode.registered import field_encoder
from ctrkit.schema import Schema

_LOOKUP_VALUES = 1_000_000  # beyond, values are grouped chunk by chunk
_HEAD = 16_384  # rows of the first chunk that are counted first


class _Tally:
    """A table (value, count): counts the values it holds in place and absorbs new ones in turn."""

    def __init__(self, dtype: pl.DataType, unified: Callable[[pl.Series], pl.Series]) -> None:
        self._unified = unified
        self._values = pl.Series("value", dtype=dtype)
        self._counts = np.zeros(0, np.int64)
        self._lookup: Lookup | None = None
        self._pending: list[pl.DataFrame] = []
        self._waiting = 0
        self._sorted: pl.DataFrame | None = None

    def count(self, keys: pl.Series) -> None:
        """Count each key once; nulls are ignored."""
        keys = keys.alias("value")
        if not self._waiting and not len(self._values) and len(keys) > 2 * _HEAD:
            self.count(keys.head(_HEAD))  # frequent values first, so that look-ups find them
            keys = keys.slice(_HEAD)
        self._sorted = None
        if self._lookup is not None:
            places = self._lookup.find(keys)
            self._counts += np.bincount(places + 1, minlength=len(self._counts) + 1)[1:]
            keys = keys.filter(pl.Series(places == ABSENT))
        keys = keys.drop_nulls()
        if len(keys):
            table = keys.to_frame().group_by("value").agg(pl.len().cast(pl.Int64).alias("count"))
            self.add(table)

    def add(self, table: pl.DataFrame) -> None:
        """Add the counts of a table (value, count)."""
        self._sorted = None
        self._pending.append(table.with_columns(_own(table["value"])))
        self._waiting += table.height
        if self._waiting > 255 + len(self._values) // 2:
            self._absorb()

    def _absorb(self) -> None:
        held = pl.DataFrame([self._values, pl.Series("count", self._counts)])
        total = pl.concat([held, *self._pending]).group_by("value").agg(pl.col("count").sum())
        counts = total["count"].to_numpy()
        order = np.argsort(-counts)  # look-ups find the first values the fastest
        self._values, self._counts = _own(total["value"].gather(order)), counts[order]
        self._pending, self._waiting, self._lookup = [], 0, None
        if self._values.dtype == pl.String and len(self._values) <= _LOOKUP_VALUES:
            self._lookup = Lookup(self._values)

    def table(self) -> pl.DataFrame:
        """Return ``value``, unified, and ``count`` Int64, sorted by value."""
        if self._pending:
            self._absorb()
        if self._sorted is None:
            values = self._unified(self._values)
            table = pl.DataFrame([values, pl.Series("count", self._counts)])
            if not values.equals(self._values):
                table = table.group_by("value").agg(pl.col("count").sum())
            self._sorted = table.sort("value")
        return self._sorted


def _own(values: pl.Series) -> pl.Series:
    """Copy texts, so that they do not hold the buffers of the rows they came from."""
    if values.dtype != pl.String:
        return values
    copy = pl.from_arrow(values.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copy, pl.Series)
    return copy.alias(values.name)


class Counts:
    """Counts of training values; equal for any sharding, order and thread count of the rows.

    Attributes:
        schema: Declares the fields that are counted.
        rows: Rows counted.
        missing: Per field: nulls (of multi-valued fields: null lists and null tokens).
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.missing = {f.name: 0 for f in schema.fields}
        self._encoders = [field_encoder(f) for f in schema.fields]
        self._tallies = {
            encoder.field.name: _Tally(encoder.key_type, encoder.unified)
            for encoder in self._encoders
            if encoder.key_type is not None
        }

    def update(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame of raw columns; a column that is not there is all missing.

        Raises:
            DataError: A value cannot be read as its field's kind.
        """
        self.rows += frame.height
        by_column(lambda encoder: self._count(encoder, frame), self._encoders, frame.height)

    def _count(self, encoder: FieldEncoder, frame: pl.DataFrame) -> None:
        name = encoder.field.name
        if name not in frame.columns:
            self.missing[name] += frame.height
            return
        keys, missing = encoder.keys(frame[name])
        self.missing[name] += missing
        if name in self._tallies:
            self._tallies[name].count(keys)

    def merge(self, other: Counts) -> Counts:
        """Return the counts of both sets of rows."""
        assert self.schema == other.schema, "counts of different schemas"
        merged = Counts(self.schema)
        merged.rows = self.rows + other.rows
        for counts in (self, other):
            for name, missing in counts.missing.items():
                merged.missing[name] += missing
            for name, tally in counts._tallies.items():
                merged._tallies[name].add(tally.table())
        return merged

    def table(self, name: str) -> pl.DataFrame:
        """Return a field's ``value`` (text, or UInt32 cell) and ``count`` Int64, by value."""
        return self._tallies[name].table()

    def of(self, name: str) -> FieldCounts:
        """Return all that was counted of a field."""
        table = self.table(name) if name in self._tallies else None
        return FieldCounts(table, self.missing[name], self.rows)

    def notices(self) -> list[str]:
        """Return a sentence about each field that can teach a model nothing."""
        if not self.rows:
            return []
        texts = {e.field.name: e.notice(self.of(e.field.name)) for e in self._encoders}
        return [f"field {name!r} {text}" for name, text in texts.items() if text]
