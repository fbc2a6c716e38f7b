"""The parts of a source: files with their partition values, and frames in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl
import polars.selectors as cs

from ctrkit.data.read.formats import Format, read_frames
from ctrkit.data.read.options import ReadOptions
from ctrkit.errors import DataError

Types = Mapping[str, pl.DataType]
_GROWTH: dict[Format, int] = {"text": 1, "arrow": 1, "parquet": 4}
"""Bytes in memory, at least, per byte of file."""


class Part(Protocol):
    """Rows that a source reads in one piece."""

    def frames(self, names: Sequence[str], types: Types) -> Iterator[pl.DataFrame]:
        """Yield the rows in order, with the named columns, in the given types."""
        ...


@dataclass(frozen=True)
class FramePart:
    """Rows in memory."""

    frame: pl.DataFrame

    def frames(self, names: Sequence[str], types: Types) -> Iterator[pl.DataFrame]:
        """Yield the frame; it has the types of its source."""
        yield self.frame[list(names)]


@dataclass(frozen=True)
class FilePart:
    """One file.

    Attributes:
        path: Path or address.
        format: How it is read.
        options: How text is read.
        own: Name -> type of the columns in the file.
        partition: Name -> value of the columns that the folders declare; they are text.
    """

    path: str
    format: Format
    options: ReadOptions
    own: Types
    partition: Mapping[str, str | None]

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """Name -> type of all columns."""
        return {**self.own, **dict.fromkeys(self.partition, pl.String())}

    @property
    def least_bytes(self) -> int:
        """Bytes of the rows in memory, at least; the file must be local."""
        return os.path.getsize(self.path) * _GROWTH[self.format]

    def frames(self, names: Sequence[str], types: Types) -> Iterator[pl.DataFrame]:
        """Read the file.

        Raises:
            DataError: The file cannot be read, or a row is malformed.
        """
        own = [n for n in names if n in self.own]
        casts = [cs.by_name(n).cast(types[n]) for n in own if types[n] != self.own[n]]
        literals = [
            pl.lit(value, dtype=pl.String).alias(n)
            for n, value in self.partition.items()
            if n in names
        ]
        read = own or list(self.own)[:1]  # some column must carry the number of rows
        for frame in read_frames(self.path, self.format, self.options, read):
            yield frame.with_columns(*casts, *literals)[list(names)]


def common_columns(parts: Sequence[FilePart]) -> dict[str, pl.DataType]:
    """Return name -> type of the columns of all files; integers and floats may differ in width.

    Raises:
        DataError: Files differ in their columns, or in a column's type.
    """
    first = parts[0]
    merged = first.columns
    for part in parts[1:]:
        columns = part.columns
        for name in [*merged, *columns]:
            if name not in columns or name not in merged:
                has, lacks = (first, part) if name in merged else (part, first)
                raise DataError(f"column {name!r} is in {has.path} but not in {lacks.path}")
            wide = _wider(merged[name], columns[name])
            if wide is None:
                raise DataError(
                    f"column {name!r} is {merged[name]} in {first.path} "
                    f"but {columns[name]} in {part.path}"
                )
            merged[name] = wide
    return merged


def _wider(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """Return the type that holds both, within one family; None where there is none."""
    if a == b or b == pl.Null:
        return a
    if a == pl.Null:
        return b
    for family in (
        (pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()),
        (pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
        (pl.Float32(), pl.Float64()),
    ):
        if a in family and b in family:
            return family[max(family.index(a), family.index(b))]
    return None
