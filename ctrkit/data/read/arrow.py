"""Arrow files by pyarrow, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import polars as pl
import polars.selectors as cs
import pyarrow as pa

from ctrkit.data.read.errors import check_unique, reading_errors

_DIGITS = 38  # of the decimals that polars holds


def to_frame(data: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """Return the rows as a polars frame, without a copy where the types allow it."""
    frame = pl.from_arrow(data)
    assert isinstance(frame, pl.DataFrame)
    return frame


def narrow(data: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """Return the data with its decimals of 256 bits, at which polars panics, in 128 bits.

    Raises:
        ArrowInvalid: A decimal has more than 38 digits.
    """
    wide = [i for i, column in enumerate(data.schema) if pa.types.is_decimal256(column.type)]
    for index in wide:
        column = data.schema.field(index)
        short = column.with_type(pa.decimal128(_DIGITS, column.type.scale))
        data = data.set_column(index, short, data.column(index).cast(short.type))
    return data


def unreadable(schema: pa.Schema) -> dict[str, str]:
    """Return name -> type of the columns of a type that polars cannot hold."""
    return {column.name: str(column.type) for column in schema if not _readable(column.type)}


def _readable(dtype: pa.DataType) -> bool:
    types = pa.types
    if types.is_decimal(dtype):
        return 0 <= int(dtype.scale) <= _DIGITS
    if types.is_timestamp(dtype) and dtype.tz is not None:
        return _is_zone(dtype.tz)
    if types.is_dictionary(dtype):
        return _readable(dtype.value_type)
    odd = (types.is_union, types.is_interval, types.is_run_end_encoded)
    if any(check(dtype) for check in (*odd, types.is_list_view, types.is_large_list_view)):
        return False
    if types.is_fixed_size_list(dtype) and not dtype.list_size:
        return False
    if types.is_nested(dtype):
        children = [dtype.field(index).type for index in range(dtype.num_fields)]
        return all(_readable(child) for child in children) and not any(
            types.is_decimal256(child) for child in children
        )
    return True


def _is_zone(name: str) -> bool:
    """Return whether a zone is an offset such as +02:00, or known by name."""
    if name[:1] in ("+", "-"):
        return True
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


def read_columns(path: str) -> tuple[dict[str, pl.DataType], dict[str, str]]:
    """Return name -> type of a file's columns, and of those that cannot be read.

    Raises:
        DataError: The file cannot be read, or two columns have the same name.
    """
    with reading_errors(path, pa.ArrowException):
        try:
            schema = _open(path).schema
        except pa.ArrowNotImplementedError:
            return dict(_scan(path).collect_schema()), {}
        check_unique(path, schema.names)
        odd = unreadable(schema)
        kept = pa.schema([column for column in schema if column.name not in odd])
        return dict(to_frame(narrow(pa.Table.from_batches([], kept))).schema), odd


def read_frames(path: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Yield the record batches of a file, with the given columns.

    Raises:
        DataError: The file cannot be read.
    """
    with reading_errors(path, pa.ArrowException):
        try:
            _open(path)
        except pa.ArrowNotImplementedError:
            yield from _scan(path).select(cs.by_name(*columns)).collect_batches(maintain_order=True)
        else:
            for batch in _batches(path, columns):
                batch.validate(full=True)  # a damaged file would crash the process
                yield to_frame(narrow(batch))[columns]


def _scan(path: str) -> pl.LazyFrame:
    """Scan a file that polars alone can read: integers of 128 bits are its own."""
    return pl.scan_ipc(path, glob=False)


def _open(path: str) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    mapped = pa.memory_map(path)
    if bytes(mapped.read_at(6, 0)) == b"ARROW1":
        return pa.ipc.open_file(mapped)
    return pa.ipc.open_stream(mapped)


def _batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    reader = _open(path)
    if isinstance(reader, pa.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index).select(columns)
    else:
        for batch in reader:
            yield batch.select(columns)
