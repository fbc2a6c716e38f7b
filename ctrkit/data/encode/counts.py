"""Training counts of every field's values: one pass, memory in distinct values, mergeable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.parallel import by_column
from ctrkit.data.columns.text import explode, to_text, to_tokens
from ctrkit.data.encode.lookup import ABSENT, Lookup
from ctrkit.data.encode.numeric import cells, log_category
from ctrkit.errors import RunFolderError
from ctrkit.files import write_json
from ctrkit.schema import Field, Schema

FORMAT = 1
_LOOKUP_VALUES = 1_000_000  # beyond, values are grouped chunk by chunk
_HEAD = 16_384  # rows of the first chunk that are counted first


class _Tally:
    """A table (value, count) that counts known values in place and absorbs others in turn."""

    def __init__(self, dtype: pl.DataType) -> None:
        self._values = pl.Series("value", dtype=dtype)
        self._counts = np.zeros(0, np.int64)
        self._lookup: Lookup | None = None
        self._pending: list[pl.DataFrame] = []
        self._waiting = 0
        self._sorted: pl.DataFrame | None = None

    def count(self, keys: pl.Series) -> None:
        """Count each key once; nulls are passed over."""
        if not self._waiting and not len(self._values) and len(keys) > 2 * _HEAD:
            self.count(keys.head(_HEAD))  # the frequent values: the rest then finds them
            keys = keys.slice(_HEAD)
        self._sorted = None
        if self._lookup is not None:
            found = self._lookup.find(keys)
            self._counts += np.bincount(found + 1, minlength=len(self._counts) + 1)[1:]
            keys = keys.filter(pl.Series(found == ABSENT))
        keys = keys.drop_nulls().alias("value")
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
        known = pl.DataFrame([self._values, pl.Series("count", self._counts)])
        every = pl.concat([known, *self._pending]).group_by("value").agg(pl.col("count").sum())
        counts = every["count"].to_numpy()
        order = np.argsort(-counts)  # look-ups find the first ones the quickest
        self._values, self._counts = _own(every["value"].gather(order)), counts[order]
        self._pending, self._waiting, self._lookup = [], 0, None
        if self._values.dtype == pl.String and len(self._values) <= _LOOKUP_VALUES:
            self._lookup = Lookup(self._values)

    def table(self) -> pl.DataFrame:
        """Return ``value`` and ``count`` Int64, sorted by value."""
        if self._pending:
            self._absorb()
        if self._sorted is None:
            every = pl.DataFrame([self._values, pl.Series("count", self._counts)])
            self._sorted = every.sort("value")
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
        schema: Whose fields are counted. Hash-encoded fields count only what is missing.
        rows: Rows seen.
        missing: Per field: nulls (of multi-valued fields: null lists and null tokens).
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.missing = {f.name: 0 for f in schema.fields}
        self._tallies = {
            f.name: _Tally(pl.UInt32() if by_cells(f) else pl.String())
            for f in schema.fields
            if f.encoding != "hash"
        }

    def update(self, frame: pl.DataFrame) -> None:
        """Count the rows of a frame of raw columns; a column that is not there is all missing.

        Raises:
            DataError: A value cannot be read as its field's kind.
        """
        self.rows += frame.height
        by_column(lambda f: self._count(f, frame), self.schema.fields, frame.height)

    def _count(self, f: Field, frame: pl.DataFrame) -> None:
        if f.name not in frame.columns:
            self.missing[f.name] += frame.height
            return
        keys, missing = _keys(frame[f.name], f)
        self.missing[f.name] += missing
        if f.name in self._tallies:
            self._tallies[f.name].count(keys)

    def merge(self, other: Counts) -> Counts:
        """Return the counts of both sets of rows."""
        assert self.schema == other.schema, "counts of different schemas"
        merged = Counts(self.schema)
        merged.rows = self.rows + other.rows
        for part in (self, other):
            for name, missing in part.missing.items():
                merged.missing[name] += missing
            for name, tally in part._tallies.items():
                merged._tallies[name].add(tally.table())
        return merged

    def table(self, name: str) -> pl.DataFrame:
        """Return a field's ``value`` (text, or UInt32 cell) and ``count`` Int64, by value."""
        return self._tallies[name].table()

    def save(self, folder: Path) -> None:
        """Write ``counts.json`` and one parquet file per counted field."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "format": FORMAT,
            "schema": self.schema.to_toml(),
            "rows": self.rows,
            "missing": self.missing,
        }
        for index, f in enumerate(self.schema.fields):
            if f.name in self._tallies:
                self.table(f.name).write_parquet(folder / f"{index}.parquet")
        write_json(folder / "counts.json", facts)

    @classmethod
    def load(cls, folder: Path) -> Counts:
        """Read what :meth:`save` wrote.

        Raises:
            RunFolderError: The folder holds no counts, or another format.
        """
        path = folder / "counts.json"
        if not path.is_file():
            raise RunFolderError(f"no counts in {str(folder)!r}")
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT:
            raise RunFolderError(f"{path}: format {facts.get('format')!r}; this ctrkit reads 1")
        counts = cls(Schema.from_toml(facts["schema"]))
        counts.rows, counts.missing = facts["rows"], facts["missing"]
        for index, f in enumerate(counts.schema.fields):
            if f.name in counts._tallies:
                counts._tallies[f.name].add(pl.read_parquet(folder / f"{index}.parquet"))
        return counts


def by_cells(field: Field) -> bool:
    """Whether a field is counted by histogram cells (numbers, but for integer log buckets)."""
    return field.kind == "numeric" and not (field.bucketised and field.transform != "quantile")


def _keys(values: pl.Series, field: Field) -> tuple[pl.Series, int]:
    """Return the keys of a column (tokens of lists), with nulls, and how many are missing."""
    if by_cells(field):
        z = to_numbers(values)
        known = ~np.isnan(z)
        return pl.Series(cells(z[known])), int(len(z) - known.sum())
    if field.kind == "multi":
        lists = to_tokens(values, field)
        keys = explode(lists)[1]
        return keys, lists.null_count() + keys.null_count()
    numeric = field.kind == "numeric"
    keys = log_category(to_numbers(values), field.transform) if numeric else to_text(values)
    return keys, keys.null_count()
