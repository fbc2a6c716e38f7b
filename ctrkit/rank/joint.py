"""How often each value meets each class of the label: the one statistic that rankings need.

Source: outrank.md 2.1 (one group-by per field; merging is addition, so that any sharding, order,
thread count or executor gives the same table).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.text import explode, to_text, to_tokens
from ctrkit.data.encode.numeric import cells
from ctrkit.errors import RunFolderError
from ctrkit.files import write_json
from ctrkit.schema import Field, Schema

FORMAT = 1
TOKEN = "\x1e"  # between a field's name and the word "tokens", in the names of their tables
_JOIN = "\x1f"
_MERGE_ROWS = 200_000
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
        field: What it means.

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
        masked = pl.Series(field.name, keys).to_frame()
        return masked.select(pl.when(pl.Series(known)).then(pl.col(field.name))).to_series()
    if field.kind == "multi":
        return _set_text(to_tokens(values, field))
    return to_text(values)


def _set_text(lists: pl.Series) -> pl.Series:
    """Write each list's sorted set of tokens as one text, injectively."""
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
        re.sub(r"\\(.)", lambda m: _JOIN if m[1] == "u" else str(m[1]), part, flags=re.DOTALL)
        for part in text.split(_JOIN)
    ]


class _Part:
    """One table (value, c0, c1, ...) that absorbs others in turn."""

    def __init__(self, dtype: pl.DataType, width: int) -> None:
        names = [f"c{i}" for i in range(width)]
        self._known = pl.DataFrame(schema={"value": dtype, **dict.fromkeys(names, pl.Int64())})
        self._pending: list[pl.DataFrame] = []
        self._waiting = 0

    def add(self, table: pl.DataFrame) -> None:
        self._pending.append(table)
        self._waiting += table.height
        if self._waiting > 255 + self._known.height // 2 and self._known.height:
            self.table()
        elif not self._known.height:
            self._known, self._pending, self._waiting = table, [], 0

    def table(self) -> pl.DataFrame:
        if self._pending:
            every = pl.concat([self._known, *self._pending])
            self._known, self._pending, self._waiting = every.clear(), [], 0
            self._known = _summed(every)
        return self._known


def _summed(every: pl.DataFrame) -> pl.DataFrame:
    """Add the rows of equal values; many rows by parts, whose tables to hash by are smaller."""
    count = -(-every.height // _MERGE_ROWS)
    if count < 2:
        return every.group_by("value").agg(pl.exclude("value").sum())
    part = every["value"].hash() % count
    parts = (every.filter(part == i) for i in range(count))
    return pl.concat([p.group_by("value").agg(pl.exclude("value").sum()) for p in parts])


class JointCounts:
    """Counts of (value, class of the row); equal for any sharding, order and thread count.

    Attributes:
        schema: Whose fields are counted, every one exactly, whatever its encoding.
        width: Classes of a row: of the label, or of label and period together.
        totals: ``(width,)`` rows of each class.
    """

    def __init__(self, schema: Schema, width: int = 2) -> None:
        assert width >= 1
        self.schema = schema
        self.width = width
        self.totals: Matrix = np.zeros(width, np.int64)
        self._parts = {n: _Part(_dtype(f), width) for n, f in _tables(schema).items()}

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
        """Count the rows of a frame of raw columns; a column that is not there is all missing.

        Args:
            frame: (n,) rows.
            row_class: (n,) integers below ``width``.
            weight: (n,) whole numbers: how often each row counts; None: once.

        Raises:
            DataError: A value cannot be read as its field's kind.
        """
        if not frame.height:
            return
        weights = None if weight is None else weight.astype(np.float64)
        found = np.bincount(row_class, weights=weights, minlength=self.width)
        self.totals += found.astype(np.int64)
        given = [pl.Series("class", row_class)]
        given += [] if weight is None else [pl.Series("weight", weight)]
        counted = _counted(self.width, weight is not None)
        plain: dict[str, pl.Series] = {}
        for f in self.schema.fields:
            empty = pl.Series(f.name, [None], dtype=pl.Null).new_from_index(0, frame.height)
            values = frame[f.name] if f.name in frame.columns else empty
            plain[f.name] = keys_of(values, f)
            if f.kind == "multi":
                self._count_tokens(f, values, given, counted)
        columns = [keys.alias(f"k{i}") for i, keys in enumerate(plain.values())]
        lazy = pl.DataFrame([*columns, *given]).lazy()
        queries = [lazy.group_by(pl.col(c.name).alias("value")).agg(counted) for c in columns]
        for name, table in zip(plain, pl.collect_all(queries), strict=True):
            self._parts[name].add(table)

    def _count_tokens(
        self, f: Field, values: pl.Series, given: Sequence[pl.Series], counted: Sequence[pl.Expr]
    ) -> None:
        """Count each distinct token of a row once."""
        lists = to_tokens(values, f).to_frame("v").select(pl.col("v").list.drop_nulls())
        lengths, tokens = explode(lists.select(pl.col("v").list.unique()).to_series())
        rows = np.repeat(np.arange(len(lengths)), lengths)
        columns = [tokens.alias("value"), *(s.gather(rows) for s in given)]
        self._parts[tokens_of(f.name)].add(pl.DataFrame(columns).group_by("value").agg(counted))

    def merge(self, other: JointCounts) -> JointCounts:
        """Return the counts of both sets of rows."""
        assert (self.schema, self.width) == (other.schema, other.width), "unlike counts"
        merged = JointCounts(self.schema, self.width)
        merged.totals = self.totals + other.totals
        for part in (self, other):
            for name in part._parts:
                merged._parts[name].add(part.table(name))
        return merged

    def table(self, name: str) -> pl.DataFrame:
        """Return ``value`` (null: missing) and ``c0`` ... Int64, in no particular order."""
        return self._parts[name].table()

    def take(self, name: str) -> pl.DataFrame:
        """Return :meth:`table` and let go of it: it is copied elsewhere."""
        return self._parts.pop(name).table()

    def save(self, folder: Path) -> None:
        """Write ``counts.json`` and one parquet file per table, sorted by value."""
        folder.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(self._parts):
            self.table(name).sort("value").write_parquet(folder / f"{index}.parquet")
        facts = {"format": FORMAT, "schema": self.schema.to_toml(), "totals": self.totals.tolist()}
        write_json(folder / "counts.json", facts)

    @classmethod
    def load(cls, folder: Path) -> JointCounts:
        """Read what :meth:`save` wrote.

        Raises:
            RunFolderError: The folder holds no counts, or another format.
        """
        path = folder / "counts.json"
        if not path.is_file():
            raise RunFolderError(f"no counts in {str(folder)!r}")
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT or "totals" not in facts:
            raise RunFolderError(f"{path}: no label counts of format {FORMAT}")
        counts = cls(Schema.from_toml(facts["schema"]), len(facts["totals"]))
        counts.totals = np.asarray(facts["totals"], np.int64)
        for index, name in enumerate(counts._parts):
            counts._parts[name].add(pl.read_parquet(folder / f"{index}.parquet"))
        return counts


def _tables(schema: Schema) -> dict[str, Field]:
    """Return the name of each table -> its field."""
    found = {f.name: f for f in schema.fields}
    return found | {tokens_of(f.name): f for f in schema.fields if f.kind == "multi"}


def _dtype(f: Field) -> pl.DataType:
    return pl.UInt32() if f.kind == "numeric" else pl.String()


def _counted(width: int, weighted: bool) -> list[pl.Expr]:
    """Return the expressions that count the rows of a group by class."""
    if weighted:
        of = [pl.col("weight").filter(pl.col("class") == i).sum() for i in range(width)]
    elif width == 2:
        ones = pl.col("class").sum().cast(pl.Int64)
        return [(pl.len().cast(pl.Int64) - ones).alias("c0"), ones.alias("c1")]
    else:
        of = [(pl.col("class") == i).sum() for i in range(width)]
    return [e.cast(pl.Int64).alias(f"c{i}") for i, e in enumerate(of)]
