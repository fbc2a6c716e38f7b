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
            self._check_exact(frame, types)
            yield frame.with_columns(*casts, *literals)[list(names)]

    def _check_exact(self, frame: pl.DataFrame, types: Types) -> None:
        """Refuse whole numbers that other files hold as floats, where a float cannot hold them."""
        for name in frame.columns:
            column, target = (
                frame[name].alias("v"),
                types[name],
            )  # some names are patterns in polars
            if isinstance(target, pl.List) and isinstance(column.dtype, pl.List | pl.Array):
                column, target = column.explode(), _inner(target)
            dtype = column.dtype
            if not (target.is_float() and (dtype.is_integer() or dtype.is_decimal())):
                continue
            whole = column.cast(pl.Int128, strict=False)
            numbers = column.cast(pl.Float64).cast(pl.Int128, strict=False)
            changed = (numbers != whole).fill_null(False)
            if dtype.is_decimal():
                changed &= (whole.abs() > 2**53).fill_null(False)
            if changed.any():
                raise DataError(
                    f"{self.path}: column {name!r} holds {column.filter(changed)[0]}, which "
                    "the type of other files (a float) cannot hold; write it as an integer in all"
                )


def common_columns(parts: Sequence[FilePart]) -> dict[str, pl.DataType]:
    """Return name -> type of the columns of all files, in the order of the first.

    Types may differ in width, unit, and as missing values make them differ: integers, decimals and
    floats, text and categories, lists of any and of fixed length.

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
    """Return the type that holds the values of both unchanged; None where there is none."""
    if a == b or b == pl.Null:
        return a
    if a == pl.Null:
        return b
    if a in _TEXT and b in _TEXT:
        return pl.String()
    if isinstance(a, pl.Datetime) and isinstance(b, pl.Datetime):
        if (a.time_zone is None) != (b.time_zone is None):
            return None
        zone = a.time_zone if a.time_zone == b.time_zone else "UTC"
        return pl.Datetime("us", zone)
    if isinstance(a, pl.List | pl.Array) and isinstance(b, pl.List | pl.Array):
        inner = _wider(_inner(a), _inner(b))
        if inner is None:
            return None
        if isinstance(a, pl.Array) and isinstance(b, pl.Array) and a.size == b.size:
            return pl.Array(inner, a.size)
        return pl.List(inner)
    if isinstance(a, pl.Decimal) or isinstance(b, pl.Decimal):
        return _wider_decimal(a, b)
    return _wider_number(a, b)


_TEXT = (pl.String, pl.Categorical, pl.Enum)
_SIGNED = (pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64())
_UNSIGNED = (pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64())
_FLOATS = (pl.Float32(), pl.Float64())


def _wider_number(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    for family in (_SIGNED, _UNSIGNED, _FLOATS):
        if a in family and b in family:
            return family[max(family.index(a), family.index(b))]
    integers = (*_SIGNED, *_UNSIGNED)
    if (a in integers and b in _FLOATS) or (a in _FLOATS and b in integers):
        return pl.Float64()  # integers beyond 2**53 are refused when they are read
    signed, unsigned = (a, b) if a in _SIGNED else (b, a)
    if signed in _SIGNED and unsigned in _UNSIGNED[:-1]:
        return _SIGNED[max(_SIGNED.index(signed), _UNSIGNED.index(unsigned) + 1)]
    return None


def _wider_decimal(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """Return a decimal for decimals and integers; a float for decimals and floats."""
    if a in _FLOATS or b in _FLOATS:
        return pl.Float64()  # whole numbers beyond 2**53 are refused when they are read
    digits = scale = 0
    for dtype in (a, b):
        if isinstance(dtype, pl.Decimal):
            digits = max(digits, dtype.precision - dtype.scale)
            scale = max(scale, dtype.scale)
        elif dtype in (*_SIGNED, *_UNSIGNED):
            digits = max(digits, _INTEGER_DIGITS)
        else:
            return None
    return pl.Decimal(_DIGITS, scale) if digits + scale <= _DIGITS else None


_DIGITS = 38  # of the longest decimal
_INTEGER_DIGITS = 20  # of 2**64


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    inner = dtype.inner
    return inner if isinstance(inner, pl.DataType) else inner()
