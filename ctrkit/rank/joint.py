"""How often each value occurs with each class of the label: the statistic behind all scores.

One group-by per field; merging is addition, so that any sharding, order, thread count or executor
gives the same table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.text import explode, to_text, to_tokens
from ctrkit.data.encode.histogram import cells
from ctrkit.schema import Field, Schema

TOKEN = "\x1e"  # between the name of a field and the word "tokens", in the name of their table
_JOIN = "\x1f"
_MERGE_ROWS = 200_000
_AT_ONCE = 64
"""Group-bys that run together; the time that polars plans for grows with the square of them."""
_EMPTY = "\\e"  # no text is escaped to this
Matrix = npt.NDArray[np.int64]


def tokens_of(name: str) -> str:
    """Return the name under which a multi-valued field's single tokens are counted."""
    return f"{name}{TOKEN}tokens"


def keys_of(values: pl.Series, field: Field) -> pl.Series:
    """Return the keys that a column is counted by, nulls where missing.

    Categories count by canonical text, numbers by histogram cell, lists by their sorted set.

    Args:
        values: (n,) raw column.
        field: Field of the column.

    Returns:
        (n,) String, or UInt32 cells of numbers.

    Raises:
        DataError: A value cannot be read as its field's kind.
    """
    if field.kind == "numeric":
        z = to_numbers(values)
        known = ~np.isnan(z)
        keys = np.zeros(len(z), np.uint32)
        keys[known] = cells(z[known])
        masked = pl.Series("v", keys).to_frame()
        return masked.select(pl.when(pl.Series(known)).then(pl.col("v"))).to_series()
    if field.kind == "multi":
        return _set_text(to_tokens(values, field))
    return to_text(values)


def _set_text(lists: pl.Series) -> pl.Series:
    """Write the sorted set of tokens of each list as one text, injectively."""
    escaped = pl.element().str.replace_all("\\", "\\\\", literal=True)
    escaped = escaped.str.replace_all(_JOIN, "\\u", literal=True)
    known = pl.col("v").list.drop_nulls()
    text = known.list.unique().list.sort().list.eval(escaped).list.join(_JOIN)
    sets = pl.when(known.list.len() == 0).then(pl.lit(_EMPTY)).otherwise(text)
    return lists.to_frame("v").select(sets.alias(lists.name)).to_series()


def list_names(text: str) -> list[str]:
    """Return the tokens that :func:`keys_of` wrote as one text."""
    if text == _EMPTY:
        return []
    return [
        re.sub(r"\\(.)", lambda m: _JOIN if m[1] == "u" else str(m[1]), token, flags=re.DOTALL)
        for token in text.split(_JOIN)
    ]


class _Accumulator:
    """A table (value, c0, c1, ...) that others are added to."""

    def __init__(self, dtype: pl.DataType, width: int) -> None:
        names = [f"c{i}" for i in range(width)]
        self._table = pl.DataFrame(schema={"value": dtype, **dict.fromkeys(names, pl.Int64())})
        self._pending: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, table: pl.DataFrame) -> None:
        self._pending.append(table)
        self._waiting += table.height
        if self._waiting > 255 + self._table.height // 2 and self._table.height:
            self.table()
        elif not self._table.height:
            self._table, self._pending, self._waiting = table, [], 0

    def table(self) -> pl.DataFrame:
        if self._pending:
            rows = pl.concat([self._table, *self._pending])
            self._table, self._pending, self._waiting = rows.clear(), [], 0
            self._table = _summed(rows)
        return self._table


def _summed(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the rows of equal values; many rows in parts by hash, so that hash tables are smaller."""
    count = -(-rows.height // _MERGE_ROWS)
    if count < 2:
        return rows.group_by("value").agg(pl.exclude("value").sum())
    part = rows["value"].hash() % count
    parts = (rows.filter(part == i) for i in range(count))
    return pl.concat([p.group_by("value").agg(pl.exclude("value").sum()) for p in parts])


class JointCounts:
    """Counts of (value, class of the row); equal for any sharding, order and thread count.

    Attributes:
        schema: Fields that are counted, each exactly, whatever its encoding.
        width: Number of classes of a row: of the label, or of label and period together.
        totals: ``(width,)`` rows of each class.
    """

    def __init__(self, schema: Schema, width: int = 2) -> None:
        assert width >= 1
        self.schema = schema
        self.width = width
        self.totals: Matrix = np.zeros(width, np.int64)
        self._tables = {
            n: _Accumulator(_dtype(f), width) for n, f in _fields_by_table(schema).items()
        }

    @property
    def rows(self) -> int:
        """Rows seen."""
        return int(self.totals.sum())

    def update(
        self,
        frame: pl.DataFrame,
        row_class: npt.NDArray[np.integer],
        weight: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Count the rows of a frame of raw columns; an absent column is all missing.

        Args:
            frame: (n,) rows.
            row_class: (n,) integers below ``width``.
            weight: (n,) whole numbers, how often each row counts; None: once.

        Raises:
            DataError: A value cannot be read as its field's kind.
        """
        if not frame.height:
            return
        weights = None if weight is None else weight.astype(np.float64)
        totals = np.bincount(row_class, weights=weights, minlength=self.width)
        self.totals += totals.astype(np.int64)
        classes = [pl.Series("class", row_class)]
        classes += [] if weight is None else [pl.Series("weight", weight)]
        counted = _counted(self.width, weight is not None)
        keys: dict[str, pl.Series] = {}
        for f in self.schema.fields:
            absent = pl.Series(f.name, [None], dtype=pl.Null).new_from_index(0, frame.height)
            values = frame[f.name] if f.name in frame.columns else absent
            keys[f.name] = keys_of(values, f)
            if f.kind == "multi":
                self._count_tokens(f, values, classes, counted)
        frames = [pl.DataFrame([column.alias("value"), *classes]) for column in keys.values()]
        queries = [frame.lazy().group_by("value").agg(counted) for frame in frames]
        tables = [
            table
            for first in range(0, len(queries), _AT_ONCE)
            for table in pl.collect_all(queries[first : first + _AT_ONCE])
        ]
        for name, table in zip(keys, tables, strict=True):
            self._tables[name].add(table)

    def _count_tokens(
        self, f: Field, values: pl.Series, classes: Sequence[pl.Series], counted: Sequence[pl.Expr]
    ) -> None:
        """Count each distinct token of a row once."""
        lists = to_tokens(values, f).to_frame("v").select(pl.col("v").list.drop_nulls())
        lengths, tokens = explode(lists.select(pl.col("v").list.unique()).to_series())
        rows = np.repeat(np.arange(len(lengths)), lengths)
        columns = [tokens.alias("value"), *(s.gather(rows) for s in classes)]
        self._tables[tokens_of(f.name)].add(pl.DataFrame(columns).group_by("value").agg(counted))

    def merge(self, other: JointCounts) -> JointCounts:
        """Return the counts of both sets of rows."""
        assert (self.schema, self.width) == (other.schema, other.width), "different counts"
        merged = JointCounts(self.schema, self.width)
        merged.totals = self.totals + other.totals
        for counts in (self, other):
            for name in counts._tables:
                merged._tables[name].add(counts.table(name))
        return merged

    def table(self, name: str) -> pl.DataFrame:
        """Return ``value`` (null: missing) and ``c0`` ... Int64, in no particular order."""
        return self._tables[name].table()

    def take(self, name: str) -> pl.DataFrame:
        """Return :meth:`table` and forget it, so that it is not held twice."""
        return self._tables.pop(name).table()


def _fields_by_table(schema: Schema) -> dict[str, Field]:
    """Return the name of each table -> its field."""
    plain = {f.name: f for f in schema.fields}
    return plain | {tokens_of(f.name): f for f in schema.fields if f.kind == "multi"}


def _dtype(f: Field) -> pl.DataType:
    return pl.UInt32() if f.kind == "numeric" else pl.String()


def _counted(width: int, weighted: bool) -> list[pl.Expr]:
    """Return the expressions that count the rows of a group by class."""
    if weighted:
        counts = [pl.col("weight").filter(pl.col("class") == i).sum() for i in range(width)]
    elif width == 2:
        ones = pl.col("class").sum().cast(pl.Int64)
        return [(pl.len().cast(pl.Int64) - ones).alias("c0"), ones.alias("c1")]
    else:
        counts = [(pl.col("class") == i).sum() for i in range(width)]
    return [e.cast(pl.Int64).alias(f"c{i}") for i, e in enumerate(counts)]
